import Foundation

/// Files by name: what a target reads.
typealias Files = [String: [UInt8]]

/// Something of Wideband's that reads what others wrote.
struct Target: Sendable {
  /// The name on the command line and in the corpus.
  let name: String
  /// Well-formed inputs that are mutated; made once in a worker.
  let seeds: @Sendable () throws -> [Files]
  /// Changes one of them.
  let mutate: @Sendable (Files, inout Randomness) -> Files
  /// Reads the files in a folder; whatever it throws is a refusal.
  let read: @Sendable (_ folder: URL) throws -> Void

  /// The input of an index: one of the seeds changed, or below 0 one of the corpus, whose last has -1.
  func input(_ index: Int, seed: UInt64, of seeds: [Files], corpus: Corpus) -> Files {
    if index < 0 { return corpus.inputs[corpus.inputs.count + index] }
    var random = Randomness(seed: seed, target: name, index: index)
    let files = random.pick(seeds)
    return mutate(files, &random)
  }
}

extension Target {
  /// Mutates one file of an input by what its name says of its form.
  @Sendable static func mutateOneFile(_ files: Files, _ random: inout Randomness) -> Files {
    var files = files
    let name = random.pick(files.keys.sorted())
    files[name] = mutated(files[name] ?? [], named: name, &random)
    return files
  }

  static func mutated(_ bytes: [UInt8], named name: String, _ random: inout Randomness) -> [UInt8] {
    if name.hasSuffix(".safetensors") { return SafetensorsMutation.mutated(bytes, &random) }
    if name.hasSuffix(".json") {
      guard let document = JSONCache.document(bytes) else { return TextMutation.mutated(bytes, &random) }
      return JSONMutation.mutated(document, &random)
    }
    if name.hasSuffix(".jsonl") { return LineMutation.mutated(bytes, &random) }
    if name.hasSuffix(".yaml") || name.hasSuffix(".txt") { return TextMutation.mutated(bytes, &random) }
    var bytes = bytes
    for _ in 0...random.below(4) { ByteMutation.apply(&bytes, &random) }
    return bytes
  }
}
