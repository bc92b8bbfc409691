# The three helpers every folder uses: baton_library, baton_test (through baton_library) and add_resource_kind.
#
#   baton_library(<folder> [THREADS] [PUBLIC libs...] [PRIVATE libs...])
#     makes baton_<name> from the *.cc and *.proto of the current folder ('/' in <folder> becomes '_'), and, where there
#     are *_test.cc, the GoogleTest executable baton_<name>_test whose cases become CTest tests named <folder>.<Suite>.<Case>.
#     THREADS: these tests run threads, so they are run under ThreadSanitizer, too.
function(baton_library folder)
  cmake_parse_arguments(ARG "THREADS" "" "PUBLIC;PRIVATE;TEST" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  file(GLOB protos CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.proto)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz)\\.cc$")
  baton_sources_library(baton_${name} "${sources}" "${protos}" "${ARG_PUBLIC}" "${ARG_PRIVATE}")
  if(tests AND BUILD_TESTING)
    baton_test(${folder} baton_${name} "${tests}" "${ARG_TEST}" "${ARG_THREADS}")
  endif()
endfunction()

function(baton_sources_library target sources protos public private)
  if(sources OR protos)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_compile_options(${target} PRIVATE ${BATON_WARNINGS})
    target_link_libraries(${target} PUBLIC ${public} PRIVATE ${private})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${public} ${private})
  endif()
  if(protos)
    baton_protos(${target} "${protos}")
  endif()
endfunction()

# Generated headers are included as "<folder>/<file>.pb.h", from the build tree's gen/.
function(baton_protos target protos)
  set(gen ${CMAKE_BINARY_DIR}/gen)
  set(outputs)
  foreach(proto IN LISTS protos)
    file(RELATIVE_PATH rel ${CMAKE_SOURCE_DIR}/src ${proto})
    string(REGEX REPLACE "\\.proto$" "" stem ${rel})
    add_custom_command(
      OUTPUT ${gen}/${stem}.pb.cc ${gen}/${stem}.pb.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${gen}
      COMMAND protobuf::protoc --cpp_out=${gen} -I ${CMAKE_SOURCE_DIR}/src ${proto}
      DEPENDS ${proto} VERBATIM)
    list(APPEND outputs ${gen}/${stem}.pb.cc)
  endforeach()
  set_source_files_properties(${outputs} PROPERTIES COMPILE_OPTIONS "-w")
  target_sources(${target} PRIVATE ${outputs})
  target_include_directories(${target} SYSTEM PUBLIC ${gen})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
endfunction()

# `ninja unit_tests` makes what the tests labelled "unit" need, and no more: what the build with AddressSanitizer runs.
# `ninja thread_tests` makes those of them labelled "unit-threads", for the one with ThreadSanitizer.
add_custom_target(unit_tests)
add_custom_target(thread_tests)

function(baton_test folder library tests extra threads)
  string(REPLACE "/" "_" name ${folder})
  add_executable(baton_${name}_test ${tests})
  target_compile_options(baton_${name}_test PRIVATE ${BATON_WARNINGS})
  target_link_libraries(baton_${name}_test PRIVATE ${library} ${extra} GTest::gmock GTest::gtest_main)
  add_dependencies(unit_tests baton_${name}_test)
  set(label unit)
  if(threads)
    set(label unit-threads)
    add_dependencies(thread_tests baton_${name}_test)
  endif()
  gtest_discover_tests(baton_${name}_test TEST_PREFIX ${folder}. DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120
                       LABELS ${label})
endfunction()

# add_resource_kind(<dir>): a folder of src/resource that holds one kind. Its factory is <namespace>::Make<Kind>Kind(),
# found by the generated table (see src/resource/CMakeLists.txt).
function(add_resource_kind kind)
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/${kind})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB protos CONFIGURE_DEPENDS ${dir}/*.proto)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz)\\.cc$")
  baton_sources_library(baton_resource_${kind} "${sources}" "${protos}" "baton_resource" "")
  if(tests AND BUILD_TESTING)
    baton_test(resource/${kind} baton_resource_${kind} "${tests}" "" OFF)
  endif()
endfunction()
