/// The arguments of commands that take any number of them, such as the files that `*.txt` stands for.
///
/// The parser takes time quadratic in the number of arguments, 20 seconds for as many thousands. Those that follow each
/// other reach it as one, with a byte between them that no argument of a process has.
enum ManyArguments {
  private static let commands = [["tokenizer", "train"], ["tokenizer", "decode"], ["data", "prepare"]]
  private static let separator: Character = "\0"

  /// The arguments of the process as the parser gets them.
  static func joined(_ arguments: [String]) -> [String] {
    guard let command = commands.first(where: arguments.starts) else { return arguments }
    var joined = command
    var run: [String] = []
    func endRun() {
      if !run.isEmpty { joined.append(run.joined(separator: String(separator))) }
      run = []
    }
    var mayBeValue = false
    for argument in arguments.dropFirst(command.count) {
      let isOption = argument.hasPrefix("-")
      if isOption || mayBeValue {
        endRun()
        joined.append(argument)
      } else {
        run.append(argument)
      }
      mayBeValue = isOption && !argument.contains("=")
    }
    endRun()
    return joined
  }

  /// The arguments that were joined.
  static func separated(_ arguments: [String]) -> [String] {
    arguments.flatMap { $0.split(separator: separator, omittingEmptySubsequences: false).map(String.init) }
  }
}
