import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband quantize`: writes a model folder with quantized matrices.
struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Rewrite a model folder with its matrices in int8 or int4.",
    discussion: """
      The embedding, tables of n-grams, the head and all linear maps are quantized, with one bfloat16 scale per group of \
      32 weights: 1.06 bytes per weight in int8, 0.56 in int4. Norms, routers and connections are not quantized. The folder can be used \
      wherever a model is only read; loading the original with --quantize gives bit-identical weights.

      EXAMPLE:
        wideband quantize --model Qwen3-0.6B --output Qwen3-0.6B-int4 --scheme int4
      """)

  @Option(help: ArgumentHelp("The folder to read.", valueName: "folder"))
  var model: String
  @Option(help: ArgumentHelp("The folder to create.", valueName: "folder"))
  var output: String
  @Option(help: ArgumentHelp("The quantization scheme.", valueName: "scheme"))
  var scheme: QuantizationScheme
  @OptionGroup var folder: FolderOptions

  func run() throws {
    let target = ModelFolder(fileURL(output))
    try target.requireNew()
    let source = try SourceFolder(model)
    var configuration = source.configuration
    try configuration.quantize(as: scheme, in: ModelFolder(fileURL(model)))
    let tensors = try quantized(source.weights)
    try target.write(
      configuration: configuration.json(dtype: source.dtype), tensors: tensors, extraFiles: source.otherFiles(),
      maximumShardBytes: folder.shardSize.bytes)
    let count = source.weights.parameterCount
    let bytes = tensors.reduce(0) { $0 + $1.tensor.count * $1.tensor.dtype.size }
    try StandardOutput.line(
      "\(printable(path: output)): \(count) parameters in \(scheme), \(bytes) bytes, "
        + "\(source.weights.byteCount) before")
  }

  /// All tensors, of matrices the quantized values and scales; reports progress on standard error every second.
  private func quantized(_ weights: WeightStore) throws -> [(name: String, tensor: Tensor)] {
    var tensors: [(name: String, tensor: Tensor)] = []
    var (done, reported) = (0, ContinuousClock.now)
    for (name, tensor) in weights.tensors {
      if let matrix = weights.matrices[name] {
        let quantized: WeightMatrix
        do { quantized = try matrix.quantized(scheme) } catch {
          throw CommandError("\(printable(path: model)): tensor \(quoted(name)) \(error)")
        }
        tensors.append((name, quantized.values))
        if let scales = quantized.scales { tensors.append((WeightMatrix.scalesName(of: name), scales)) }
      } else {
        tensors.append((name, tensor))
      }
      done += tensor.count
      guard ContinuousClock.now - reported > .seconds(1) else { continue }
      reported = .now
      let share = 100 * done / weights.parameterCount
      StandardError.line("\(share)%  \(done) parameters")
    }
    return tensors
  }
}

extension QuantizationScheme: ExpressibleByArgument {}
