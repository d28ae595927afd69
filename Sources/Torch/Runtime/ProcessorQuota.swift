import Foundation

/// The processor time that Linux grants the process: the quota of its control groups (cgroup version 1 and 2), which
/// limit containers.
///
/// The quota of a group limits its subgroups too, so the smallest one along the path counts. Source of the file
/// formats: `cgroups(7)`, `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`),
/// `Documentation/scheduler/sched-bwc.rst` (`cpu.cfs_quota_us`) and `proc(5)` (`mountinfo`).
struct ProcessorQuota {
  /// The root folder of the file system; tests use another one than `/`.
  let root: String

  init(root: String = "") { self.root = root }

  /// The quota in processors, such as 1.5; nil without a limit.
  func processors() -> Double? {
    guard let groups = text("/proc/self/cgroup"), let mounts = text("/proc/self/mountinfo") else { return nil }
    let hierarchies = mounts.split(separator: "\n").compactMap { Hierarchy(line: $0) }
    var smallest: Double?
    for line in groups.split(separator: "\n") {
      // "4:cpu,cpuacct:/path" in version 1, "0::/path" in version 2.
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isUnified = fields[0] == "0" && fields[1].isEmpty
      guard isUnified || fields[1].split(separator: ",").contains("cpu") else { continue }
      for hierarchy in hierarchies where hierarchy.isUnified == isUnified {
        for folder in hierarchy.folders(of: String(fields[2])) {
          guard let limit = isUnified ? unifiedLimit(folder) : firstLimit(folder) else { continue }
          smallest = min(smallest ?? limit, limit)
        }
      }
    }
    return smallest
  }

  /// The limit in `cpu.max`, "QUOTA PERIOD" in microseconds; nil for "max PERIOD".
  private func unifiedLimit(_ folder: String) -> Double? {
    guard let text = text(folder + "/cpu.max") else { return nil }
    let fields = text.split(whereSeparator: \.isWhitespace)
    return fields.count == 2 ? Self.ratio(String(fields[0]), String(fields[1])) : nil
  }

  /// The limit in the two files of version 1; nil for a quota of -1.
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

/// A mounted hierarchy of control groups that can limit processor time.
private struct Hierarchy {
  let isUnified: Bool
  /// The group at the mount point: not "/" where a container sees a part of the hierarchy.
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

  /// The folders of a group and of its visible ancestors. For a group outside the mounted part (`/../x`) that is the
  /// mount point alone.
  func folders(of group: String) -> [String] {
    var rest = group.split(separator: "/")
    let above = top.split(separator: "/")
    if rest.starts(with: above) { rest.removeFirst(above.count) } else { rest = [] }
    if rest.contains("..") { rest = [] }
    var folders = [mountPoint]
    for part in rest { folders.append(folders[folders.count - 1] + "/" + part) }
    return folders
  }

  /// Decodes the escapes of `mountinfo`: a backslash and three octal digits.
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
