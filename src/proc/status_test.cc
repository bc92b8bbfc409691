#include "proc/status.h"

#include <fmt/format.h>

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18; a process two pid namespaces down.
constexpr std::string_view kStatus =
    "Name:\t a\\nb\\\\ \nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t6428\nNgid:\t0\nPid:\t6429\nPPid:\t1\n"
    "TracerPid:\t77\nUid:\t1000\t1001\t1002\t1003\nGid:\t4294967295\t5\t6\t7\nFDSize:\t256\nGroups:\t4 24 1000 \n"
    "NStgid:\t6428\t2\nNSpid:\t6429\t3\nNSpgid:\t6411\t0\nNSsid:\t2925\t0\nKthread:\t0\nVmPeak:\t    2500 kB\n"
    "VmLck:\t       8 kB\nVmSwap:\t      12 kB\nThreads:\t2\nSigQ:\t3/96365\nSigPnd:\t0000000000000001\n"
    "ShdPnd:\t8000000000000000\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000000006\nSigCgt:\t0000000000014002\n"
    "CapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\nCapEff:\t000001fffefffffe\nCapBnd:\t000001fffefffffd\n"
    "CapAmb:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"
    "Speculation_Store_Bypass:\tthread vulnerable\nCpus_allowed:\tffffffff,fffffff3\nCpus_allowed_list:\t0-1\n"
    "nonvoluntary_ctxt_switches:\t1\n";

// Linux 5.4, a zombie: no umask, no Vm lines, no Seccomp_filters; built without PID namespaces.
constexpr std::string_view kOldZombie =
    "Name:\tsh\nState:\tZ (zombie)\nTgid:\t9\nNgid:\t0\nPid:\t9\nPPid:\t1\nTracerPid:\t0\nUid:\t0\t0\t0\t0\n"
    "Gid:\t0\t0\t0\t0\nFDSize:\t0\nGroups:\t \nThreads:\t1\nSigQ:\t0/7\nSigPnd:\t0000000000000000\n"
    "ShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"
    "CapInh:\t0000000000000000\nCapPrm:\t0000003fffffffff\nCapEff:\t0000003fffffffff\nCapBnd:\t0000003fffffffff\n"
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t0\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n";

ProcStatus Parse(std::string_view text) {
  auto status = ParseStatus(text);
  EXPECT_TRUE(status) << status.error().ToString();
  return status ? *status : ProcStatus{};
}

// kStatus with `line` in place of the line that has its key.
std::string With(std::string_view line) {
  const std::string_view key = line.substr(0, line.find(':') + 1);
  const size_t at = kStatus.find(fmt::format("\n{}", key)) + 1;
  std::string text(kStatus);
  return text.replace(at, text.find('\n', at) - at, line);
}

TEST(ProcStatus, Identity) {
  const ProcStatus status = Parse(kStatus);
  EXPECT_EQ(status.name, " a\nb\\ ");
  EXPECT_EQ(status.umask, 022U);
  EXPECT_EQ(status.state, 'S');
  EXPECT_EQ(status.tgid, 6428);
  EXPECT_EQ(status.pid, 6429);
  EXPECT_EQ(status.ppid, 1);
  EXPECT_EQ(status.tracer_pid, 77);
  EXPECT_EQ(status.uid, (std::array<uid_t, 4>{1000, 1001, 1002, 1003}));
  EXPECT_EQ(status.gid, (std::array<gid_t, 4>{4294967295, 5, 6, 7}));
  EXPECT_EQ(status.groups, (std::vector<gid_t>{4, 24, 1000}));
  EXPECT_EQ(status.ns_tgid, (std::vector<pid_t>{6428, 2}));
  EXPECT_EQ(status.ns_pid, (std::vector<pid_t>{6429, 3}));
  EXPECT_EQ(status.ns_pgid, (std::vector<pid_t>{6411, 0}));
  EXPECT_EQ(status.ns_sid, (std::vector<pid_t>{2925, 0}));
}

TEST(ProcStatus, MasksAndRest) {
  const ProcStatus status = Parse(kStatus);
  EXPECT_EQ(status.fd_size, 256U);
  EXPECT_EQ(status.vm_lck_kb, 8U);
  EXPECT_EQ(status.vm_swap_kb, 12U);
  EXPECT_EQ(status.threads, 2U);
  EXPECT_EQ(status.sig_pnd, 1U);
  EXPECT_EQ(status.shd_pnd, uint64_t{1} << 63);
  EXPECT_EQ(status.sig_blk, 0x10000U);
  EXPECT_EQ(status.sig_ign, 6U);
  EXPECT_EQ(status.sig_cgt, 0x14002U);
  EXPECT_EQ(status.cap_inh, 0U);
  EXPECT_EQ(status.cap_prm, 0x1fffeffffffU);
  EXPECT_EQ(status.cap_eff, 0x1fffefffffeU);
  EXPECT_EQ(status.cap_bnd, 0x1fffefffffdU);
  EXPECT_EQ(status.cap_amb, 1U);
  EXPECT_TRUE(status.no_new_privs);
  EXPECT_EQ(status.seccomp, 2U);
  EXPECT_EQ(status.seccomp_filters, 3U);
  EXPECT_EQ(status.cpus_allowed, "ffffffff,fffffff3");
}

TEST(ProcStatus, OtherLinesAreKept) {
  const ProcStatus status = Parse(kStatus);
  EXPECT_EQ(status.others.size(), 7U);
  ASSERT_NE(status.Find("SigQ"), nullptr);
  EXPECT_EQ(*status.Find("SigQ"), "3/96365");
  EXPECT_EQ(*status.Find("VmPeak"), "2500 kB");
  EXPECT_EQ(*status.Find("Speculation_Store_Bypass"), "thread vulnerable");
  EXPECT_EQ(status.Find("Name"), nullptr);
}

TEST(ProcStatus, ZombieOfAnOlderKernel) {
  const ProcStatus status = Parse(kOldZombie);
  EXPECT_EQ(status.name, "sh");
  EXPECT_EQ(status.state, 'Z');
  EXPECT_FALSE(status.umask || status.vm_lck_kb || status.vm_swap_kb || status.seccomp_filters);
  EXPECT_TRUE(status.groups.empty() && status.ns_pid.empty());
}

TEST(ProcStatus, NameIsDecodedOnlyWhereTheKernelEscapes) {
  EXPECT_EQ(Parse("Name:\ta\\tb\\" + std::string(kStatus.substr(kStatus.find('\n')))).name, "a\\tb\\");
}

TEST(ProcStatus, MalformedLinesAreQuoted) {
  for (const std::string_view line :
       {"Pid:\tx", "Pid:\t1 2", "Uid:\t1\t2\t3", "Uid:\t1\t2\t3\t4\t5", "Groups:\t1 x", "NSpid:\t1\t-", "VmLck:\t8",
        "VmLck:\t8 MB", "SigPnd:\txyz", "SigBlk:\t1ffffffffffffffff", "NoNewPrivs:\t2", "State:\t", "Umask:\t0092"}) {
    ExpectCorrupt(ParseStatus, With(line), line);
  }
  ExpectCorrupt(ParseStatus, std::string(kStatus) + "nonsense\n", "nonsense");
  ExpectCorrupt(ParseStatus, std::string(kStatus) + "Pid:\t1\n", "Pid:\t1");
}

TEST(ProcStatus, EveryCutIsNoticed) {
  ExpectCorrupt(ParseStatus, "", "Name:");
  const size_t last_required = kStatus.find("Cpus_allowed:");
  for (size_t at = kStatus.find('\n') + 1; at < last_required; at = kStatus.find('\n', at) + 1) {
    ExpectCorrupt(ParseStatus, kStatus.substr(0, at), "status has no line");
  }
}

}  // namespace
}  // namespace baton
