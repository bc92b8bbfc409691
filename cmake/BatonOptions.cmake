# Warnings, sanitizers and compiler cache: everything that holds for every target.
set(BATON_SANITIZE "" CACHE STRING "Sanitizers to build with, as for -fsanitize= (address,undefined or thread)")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# Generated code is compiled without these.
set(BATON_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Werror)

if(BATON_SANITIZE)
  add_compile_options(-fsanitize=${BATON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BATON_SANITIZE})
endif()

# libFuzzer binaries (tests/fuzz); needs clang++-19. Clang's -Wconversion is another set than GCC's, which is the one we keep.
option(BATON_FUZZ "Build the fuzz targets with libFuzzer, ASan and UBSan" OFF)
option(BATON_FUZZ_COVERAGE "With BATON_FUZZ: count which lines the fuzz targets reach" OFF)
if(BATON_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
    message(FATAL_ERROR "BATON_FUZZ needs clang 19: use the preset 'fuzz' (packages clang-19 and libclang-rt-19-dev)")
  endif()
  set(BATON_WARNINGS -w)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
  if(BATON_FUZZ_COVERAGE)
    add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
  endif()
endif()
