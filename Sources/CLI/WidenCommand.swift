import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband widen`: gives a model a virtual width.
struct WidenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "widen",
    abstract: "Give a plain model a virtual width, with the same logits.",
    discussion: """
      Reads a folder of Qwen3, Qwen3-MoE or a plain Wideband model, and writes one with a state of n slots of D/m \
      channels. Its weights are those of the plain model, with connections at their published initial values, and its \
      logits are the plain model's: nothing reads the new slots until training has changed the connections. \
      `wideband convert --narrow` goes back until then.

      EXAMPLES:
        wideband widen Qwen3-0.6B models/wide --fraction-rate 4 --slots 16
        wideband widen Qwen3-0.6B models/memory --fraction-rate 1 --slots 4 --memory 2,3 --memory-rows 500009
      """)

  @Argument(help: ArgumentHelp("The folder to read.", valueName: "input"))
  var input: String
  @Argument(help: ArgumentHelp("The folder to write.", valueName: "output"))
  var output: String
  @Option(help: ArgumentHelp("m: segments of a backbone vector.", valueName: "number"))
  var fractionRate: Int
  @Option(help: ArgumentHelp("n: slots of the state.", valueName: "number"))
  var slots: Int
  @Option(help: "The norm before the reduce: with rms the logits are equal but for the ε of norms.")
  var reduceNorm = VirtualWidth.ReduceNorm.none
  @Option(help: ArgumentHelp("Lengths of n-grams that get a table, as in 2,3.", valueName: "numbers"))
  var memory: String?
  @Option(help: ArgumentHelp("Rows of each table of n-grams.", valueName: "number"))
  var memoryRows: Int?
  @Option(help: "What the new slots have at first: zeros, or random mixtures of the embedding.")
  var start = Widening.Start.zero
  @Option(help: ArgumentHelp("The seed of random mixtures.", valueName: "number"))
  var seed: UInt64 = 0
  @OptionGroup var folder: FolderOptions

  func validate() throws {
    guard (memory == nil) == (memoryRows == nil) else {
      throw ValidationError("--memory and --memory-rows: expected both or neither")
    }
    _ = try orders
  }

  private var orders: [Int]? {
    get throws {
      guard let memory else { return nil }
      return try memory.split(separator: ",", omittingEmptySubsequences: false).map {
        guard let order = Int($0) else {
          throw ValidationError("--memory is \(quoted(memory)): expected lengths of n-grams, as in 2,3")
        }
        return order
      }
    }
  }

  func run() throws {
    let target = ModelFolder(fileURL(output))
    try target.requireNew()
    try ModelSource(ModelFolder(fileURL(input))).requireWhole()
    let source = try SourceFolder(input)
    let tables = try orders.map { ModelConfiguration.NGramMemory(orders: $0, rows: memoryRows ?? 1) }
    let widening = Widening(
      fractionRate: fractionRate, slots: slots, reduceNorm: reduceNorm, memory: tables, start: start)
    let plain = source.configuration
    let dtype = source.dtype ?? .float32
    let (configuration, new): (ModelConfiguration, [(name: String, tensor: Tensor)])
    do {
      configuration = try widening.configuration(of: plain)
      new = try widening.newWeights(of: plain, dtype: dtype, seed: seed)
    } catch let error as ConfigurationError { throw CommandError("\(printable(path: input)): \(error)") }
    let kept = source.tensors.filter { !$0.name.hasPrefix("model.mtp.") }
    try target.write(
      configuration: configuration.json(dtype: dtype), tensors: kept + new, extraFiles: source.otherFiles(),
      maximumShardBytes: folder.shardSize.bytes)
    if let depth = plain.multiTokenPrediction?.depth {
      try StandardOutput.line("without its \(depth) prediction depths, which would read the new slots")
    }
    let count = new.reduce(0) { $0 + $1.tensor.count }
    try StandardOutput.line(
      "\(printable(path: output)): \(source.weights.parameterCount) parameters, and \(count) new ones")
  }
}

extension VirtualWidth.ReduceNorm: ExpressibleByArgument {
  /// The norms that a widened model can have.
  public static var allValueStrings: [String] { [Self.none, .rms].map(\.rawValue) }
}

extension Widening.Start: ExpressibleByArgument {}
