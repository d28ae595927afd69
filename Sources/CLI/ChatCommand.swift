import ArgumentParser
import Dispatch
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband chat`: a conversation in the terminal.
struct ChatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat",
    abstract: "Talk with a model in the terminal.",
    discussion: """
      Each line is a question; the answer is written as it is generated. Ctrl-C ends the answer, or at the question \
      prompt the command; /reset clears the conversation; /exit, or the end of input, leaves. The \
      conversation is written in the chat template of the model's folder, else in Qwen3's form of ChatML.

      EXAMPLES:
        wideband chat --model Qwen3-0.6B
        wideband chat --model Qwen3-0.6B --no-thinking --system "You answer briefly." --temperature 0.7
        wideband chat --model runs/direct/best --cycle 4
      """)

  @Option(help: ArgumentHelp("The model's folder.", valueName: "folder"))
  var model: String
  @Option(help: ArgumentHelp("The system message.", valueName: "text"))
  var system: String?
  @Flag(name: .customLong("no-thinking"), help: "Answer at once, without thinking first.")
  var isWithoutThinking = false
  @Option(help: ArgumentHelp("The maximum number of tokens of an answer.", valueName: "number"))
  var maxTokens = 1024
  @OptionGroup var sampling: SamplingFlags
  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try requireFlag("--max-tokens", maxTokens, in: Limits.tokens)
  }

  func run() throws {
    try options(sampling.overrides.applied(to: .init())).validate()
    try machine.apply {
      let loaded = try decoding.loadedModel(model, on: machine.device)
      let session = try ChatSession(
        loaded, system: system, prompt: isWithoutThinking ? .direct : .thinking,
        options: options(loaded.generation.sampling(sampling.overrides)))
      try converse(session)
    }
  }

  private func options(_ choice: SamplingOptions) -> GenerationOptions {
    decoding.generation(choice, seed: sampling.seed, maximumTokens: maxTokens)
  }

  private func converse(_ session: ChatSession) throws {
    let interrupt = AnswerInterrupt()
    let isTerminal = isatty(STDIN_FILENO) == 1
    var lines = StandardInput.Lines(limit: 1 << 20)
    while true {
      if isTerminal { try StandardOutput.write("> ") }
      guard let bytes = try lines.next() else { break }
      guard let line = String(validating: bytes, as: UTF8.self) else {
        StandardError.line("the question is not UTF-8")
        continue
      }
      switch line.trimmingCharacters(in: .whitespaces) {
      case "": continue
      case "/exit": return
      case "/reset": session.reset()
      case let command where command.hasPrefix("/"):
        StandardError.line("\(printable(command)): expected /reset, /exit or a question")
      default: try answer(line, session, interrupt)
      }
    }
    if isTerminal { try StandardOutput.line() }
  }

  /// Answers a question. If that fails, the conversation continues.
  private func answer(_ question: String, _ session: ChatSession, _ interrupt: AnswerInterrupt) throws {
    do {
      try interrupt.during {
        try session.answer(question, check: interrupt.check) { try StandardOutput.write($0) }
      }
      try StandardOutput.line()
    } catch is CancellationError {
      try StandardOutput.line()
      StandardError.line("stopped")
    } catch let error where error is GenerationError || error is TokenizationError {
      StandardError.line(Failure.sentence(error))
    }
  }
}

/// Ctrl-C during an answer ends the answer; at any other time it ends the process.
private final class AnswerInterrupt: @unchecked Sendable {
  private let lock = NSLock()
  private var isAnswering = false
  private var isRequested = false
  private let source: any DispatchSourceSignal

  init() {
    signal(SIGINT, SIG_IGN)
    source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler { [weak self] in self?.request() }
    source.resume()
  }

  deinit {
    source.cancel()
    signal(SIGINT, SIG_DFL)
  }

  /// Runs `body`, which Ctrl-C may cancel.
  func during(_ body: () throws -> Void) throws {
    lock.withLock { (isAnswering, isRequested) = (true, false) }
    defer { lock.withLock { isAnswering = false } }
    try body()
  }

  /// Throws if the answer was cancelled.
  func check() throws {
    if lock.withLock({ isRequested }) { throw CancellationError() }
  }

  private func request() {
    let isAtQuestion = lock.withLock {
      isRequested = true
      return !isAnswering
    }
    if isAtQuestion { _exit(130) }
  }
}
