/// A fast path for commands with thousands of arguments, such as the files of `*.txt`.
///
/// The parser takes time quadratic in the number of arguments, 20 seconds for 20,000. Consecutive arguments are joined
/// into one for the parser, separated by a zero byte, which no argument of a process contains.
enum ManyArguments {
  private static let commands = [["tokenizer", "train"], ["tokenizer", "decode"], ["data", "prepare"]]
  private static let separator: Character = "\0"

  /// The arguments of the process, joined for the parser.
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

  /// The original arguments of joined ones.
  static func separated(_ arguments: [String]) -> [String] {
    arguments.flatMap { $0.split(separator: separator, omittingEmptySubsequences: false).map(String.init) }
  }
}
