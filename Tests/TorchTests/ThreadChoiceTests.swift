import Foundation
import Testing

@testable import WidebandTorch

/// The default number of threads, with fake `/proc` and `/sys` folders.
@Suite struct ThreadChoiceTests {
  /// The quota in a temporary root folder with the given files.
  private func quota(_ files: [String: String]) throws -> Double? {
    let root = FileManager.default.temporaryDirectory.appending(path: "quota-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (path, text) in files {
      let file = root.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    return ProcessorQuota(root: root.path).processors()
  }

  private let unified = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
  private let first = """
    24 1 0:5 / /proc rw - proc proc rw
    31 25 0:27 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
    32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct

    """

  @Test("version 2: the least quota of a group and of those above it")
  func unifiedQuota_nested() throws {
    let files = [
      "proc/self/cgroup": "0::/kubepods/pod1/main\n", "proc/self/mountinfo": unified,
      "sys/fs/cgroup/kubepods/cpu.max": "max 100000\n", "sys/fs/cgroup/kubepods/pod1/cpu.max": "150000 100000\n",
      "sys/fs/cgroup/kubepods/pod1/main/cpu.max": "400000 100000\n",
    ]
    #expect(try quota(files) == 1.5)
  }

  @Test("version 2 in a container that sees its own group as the top")
  func unifiedQuota_namespace() throws {
    #expect(
      try quota([
        "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/cpu.max": "50000 100000\n",
      ]) == 0.5)
    // A group outside of the mounted part: only the mount point is visible.
    #expect(
      try quota([
        "proc/self/cgroup": "0::/../../other\n", "proc/self/mountinfo": unified,
        "sys/fs/cgroup/cpu.max": "200000 50000\n",
      ]) == 4)
  }

  @Test("version 1: the controller's own hierarchy, and -1 for no limit")
  func firstQuota_nested() throws {
    var files = [
      "proc/self/cgroup": "9:memory:/docker/m\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/docker/a\n",
      "proc/self/mountinfo": first,
      "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us": "250000\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us": "100000\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us": "-1\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000\n",
      "sys/fs/cgroup/memory/docker/m/cpu.cfs_quota_us": "1000\n",
      "sys/fs/cgroup/memory/docker/m/cpu.cfs_period_us": "100000\n",
    ]
    #expect(try quota(files) == 2.5)
    // In a container that mounts a part of the hierarchy, the top of that part is the mount point.
    files["proc/self/mountinfo"] =
      "40 25 0:28 /docker/a /sys/fs/cgroup/my\\040cpu ro master:12 - cgroup cgroup rw,cpu,cpuacct\n"
    files["sys/fs/cgroup/my cpu/cpu.cfs_quota_us"] = "75000\n"
    files["sys/fs/cgroup/my cpu/cpu.cfs_period_us"] = "50000\n"
    #expect(try quota(files) == 1.5)
  }

  @Test("what is not there, or is not what it should be, limits nothing")
  func quota_none() throws {
    #expect(try quota([:]) == nil)
    #expect(try quota(["proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": unified]) == nil)
    for text in ["max 100000\n", "", "100000\n", "0 100000\n", "-5 100000\n", "5 0\n", "a b\n"] {
      #expect(
        try quota([
          "proc/self/cgroup": "0::/a\nnonsense\n", "proc/self/mountinfo": "short\n" + unified,
          "sys/fs/cgroup/a/cpu.max": text,
        ]) == nil, "\(text)")
    }
  }

  private func choose(
    asked: Int? = nil, found: Int = 8, environment: Bool = false, processors: Int = 8, quota: Double? = nil
  ) -> ThreadChoice {
    .choose(asked: asked, found: found, isFromEnvironment: environment, processors: processors, quota: quota)
  }

  @Test("threads are as many as cores, fewer by a quota that is rounded up, at least one")
  func choice_byDefault() {
    #expect(choose() == .init(count: 8, reason: .processors))
    #expect(choose(found: 8, processors: 3) == .init(count: 3, reason: .processors))
    #expect(choose(quota: 1.5) == .init(count: 2, reason: .quota(1.5)))
    #expect(choose(quota: 0.2) == .init(count: 1, reason: .quota(0.2)))
    #expect(choose(quota: 7.5) == .init(count: 8, reason: .processors))
    #expect(choose(quota: 1e300) == .init(count: 8, reason: .processors))
    #expect(choose(found: 0, processors: 0).count == 1)
  }

  @Test("what is asked for comes before the environment, and that before the quota, up to four a processor")
  func choice_asked() {
    #expect(choose(asked: 3, found: 5, environment: true, quota: 1) == .init(count: 3, reason: .asked))
    #expect(choose(found: 5, environment: true, quota: 1) == .init(count: 5, reason: .environment))
    #expect(choose(asked: 1024, processors: 2) == .init(count: 8, reason: .maximum(asked: 1024)))
    #expect(choose(found: 512, environment: true, processors: 2) == .init(count: 8, reason: .maximum(asked: 512)))
    #expect(choose(asked: 8, processors: 2) == .init(count: 8, reason: .asked))
  }

  @Test(arguments: [("4", true), (" 2", true), ("4,2", true), ("", false), ("0", false), ("-1", false), ("all", false)])
  func environment_numbers(_ text: String, _ isNumber: Bool) {
    #expect(ThreadChoice.isNumber(text) == isNumber)
    #expect(!ThreadChoice.isNumber(nil))
  }
}
