import Foundation

/// How much processor time the system grants the process: the quota of its control groups (Linux's cgroup, version 1 and
/// 2), which is how containers are limited.
///
/// A group has at most what those above it have, so the least along the path counts. Folders are described in Linux's
/// `cgroups(7)`, `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`) and `Documentation/scheduler/sched-bwc.rst`
/// (`cpu.cfs_quota_us`), the table of mounts in `proc(5)`.
struct ProcessorQuota {
  /// The folder that stands for `/`: another one in tests.
  let root: String

  init(root: String = "") { self.root = root }

  /// Processors' worth of time, a fraction perhaps; nil where nothing limits it.
  func processors() -> Double? {
    guard let groups = text("/proc/self/cgroup"), let mounts = text("/proc/self/mountinfo") else { return nil }
    let hierarchies = mounts.split(separator: "\n").compactMap { Hierarchy(line: $0) }
    var least: Double?
    for line in groups.split(separator: "\n") {
      // "4:cpu,cpuacct:/path" in version 1, "0::/path" in version 2.
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isUnified = fields[0] == "0" && fields[1].isEmpty
      guard isUnified || fields[1].split(separator: ",").contains("cpu") else { continue }
      for hierarchy in hierarchies where hierarchy.isUnified == isUnified {
        for folder in hierarchy.folders(of: String(fields[2])) {
          guard let limit = isUnified ? unifiedLimit(folder) : firstLimit(folder) else { continue }
          least = min(least ?? limit, limit)
        }
      }
    }
    return least
  }

  /// `cpu.max`: "max 100000", or the microseconds of each period's microseconds.
  private func unifiedLimit(_ folder: String) -> Double? {
    guard let text = text(folder + "/cpu.max") else { return nil }
    let fields = text.split(whereSeparator: \.isWhitespace)
    return fields.count == 2 ? Self.ratio(String(fields[0]), String(fields[1])) : nil
  }

  /// The same in two files of version 1, where -1 stands for no limit.
  private func firstLimit(_ folder: String) -> Double? {
    guard let quota = text(folder + "/cpu.cfs_quota_us"), let period = text(folder + "/cpu.cfs_period_us") else {
      return nil
    }
    return Self.ratio(quota, period)
  }

  private static func ratio(_ quota: String, _ period: String) -> Double? {
    let blanks = CharacterSet.whitespacesAndNewlines
    guard let quota = Int(quota.trimmingCharacters(in: blanks)), quota > 0,
      let period = Int(period.trimmingCharacters(in: blanks)), period > 0
    else { return nil }
    return Double(quota) / Double(period)
  }

  private func text(_ path: String) -> String? {
    guard let data = FileManager.default.contents(atPath: root + path) else { return nil }
    return String(decoding: data, as: UTF8.self)
  }
}

/// Where a hierarchy of control groups that limits processor time is mounted.
private struct Hierarchy {
  let isUnified: Bool
  /// The group that is seen at the mount point: not "/" where a container has a part of the hierarchy.
  let top: String
  let mountPoint: String

  /// A line of `mountinfo`: "36 35 98:0 TOP MOUNTPOINT OPTIONS [FIELD…] - TYPE SOURCE OPTIONS".
  init?(line: Substring) {
    let fields = line.split(separator: " ")
    guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 2 else { return nil }
    let options = fields.count > dash + 3 ? fields[dash + 3].split(separator: ",") : []
    switch fields[dash + 1] {
    case "cgroup2": isUnified = true
    case "cgroup" where options.contains("cpu"): isUnified = false
    default: return nil
    }
    (top, mountPoint) = (Self.unescaped(fields[3]), Self.unescaped(fields[4]))
  }

  /// The folders of a group and of all above it that can be seen. A group outside the part that is mounted (`/../x`)
  /// leaves the mount point itself.
  func folders(of group: String) -> [String] {
    var rest = group.split(separator: "/")
    let above = top.split(separator: "/")
    if rest.starts(with: above) { rest.removeFirst(above.count) } else { rest = [] }
    if rest.contains("..") { rest = [] }
    var folders = [mountPoint]
    for part in rest { folders.append(folders[folders.count - 1] + "/" + part) }
    return folders
  }

  /// Blanks and backslashes are written as three octal digits.
  private static func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = field.utf8[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3, let code = UInt8(Substring(digits), radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
