/// Worlds that `srun` starts.
extension World {
  /// Nil without the variables of a task of Slurm.
  init?(slurm variables: Variables) throws {
    guard variables["SLURM_PROCID"] != nil,
      let size = try variables.integer("SLURM_NTASKS", in: Self.sizes), size > 1
    else { return nil }
    let rank = try variables.required("SLURM_PROCID", in: 0...size - 1, with: "SLURM_NTASKS")
    // Only the tasks of srun have it: the script of sbatch has the number of tasks too, but is none of them.
    guard let nodes = variables["SLURM_STEP_NODELIST"] else {
      throw variables.wrong("SLURM_NTASKS", "expected the command to be started by srun, or SLURM_NTASKS to be unset")
    }
    guard let firstNode = Self.firstHost(ofNodes: nodes) else {
      throw variables.wrong("SLURM_STEP_NODELIST", "expected a list of nodes such as node[01-03,7]")
    }
    let job = try variables.required("SLURM_JOB_ID", in: 0...Int.max, with: "SLURM_NTASKS")
    let localSize = try Self.tasksOfNode(variables)
    self.init(
      rank: rank, size: size,
      localRank: try localSize.flatMap { try variables.integer("SLURM_LOCALID", in: 0...$0 - 1) } ?? 0,
      localSize: localSize ?? 1,
      master: Master(
        host: variables["MASTER_ADDR"] ?? firstNode,
        port: try variables.integer("MASTER_PORT", in: Self.ports) ?? Self.port(ofJob: job)))
  }

  /// Different for jobs with close numbers, and below the ports that systems give to connections.
  private static func port(ofJob job: Int) -> Int { 10_000 + job % 20_000 }

  /// The number of tasks on this node: the value at its index in a list such as "2(x3),1".
  private static func tasksOfNode(_ variables: Variables) throws -> Int? {
    let name = "SLURM_STEP_TASKS_PER_NODE"
    guard let list = variables[name], var node = try variables.integer("SLURM_NODEID", in: 0...Self.sizes.upperBound)
    else { return nil }
    for item in list.split(separator: ",", omittingEmptySubsequences: false) {
      let parts = item.split(separator: "(", omittingEmptySubsequences: false)
      let times = parts.count == 1 ? 1 : parts[1].hasPrefix("x") ? Int(parts[1].dropFirst().prefix { $0 != ")" }) : nil
      guard let tasks = Int(parts[0]), Self.sizes.contains(tasks), let times, times > 0 else { break }
      if node < times { return tasks }
      node -= times
    }
    throw variables.wrong(name, "expected the tasks of every node, such as 2(x3),1")
  }

  /// The first host of a list such as "node[01-03,7],login"; nil where it is not one.
  static func firstHost(ofNodes list: String) -> String? {
    var host = ""
    var rest = list[...]
    while let character = rest.first, character != "," {
      rest.removeFirst()
      guard character == "[" else {
        host.append(character)
        continue
      }
      guard let end = rest.firstIndex(of: "]") else { return nil }
      let number = rest[..<end].prefix { $0 != "-" && $0 != "," }
      guard !number.isEmpty, number.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
      host += number
      rest = rest[rest.index(after: end)...]
    }
    return host.isEmpty || host.contains("]") ? nil : host
  }
}
