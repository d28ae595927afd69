import Foundation

/// Files by name: what a target reads.
typealias Files = [String: [UInt8]]

/// A part of Wideband that reads untrusted files.
struct Target: Sendable {
  /// The name on the command line and in the corpus.
  let name: String
  /// Valid inputs that are mutated; called once in each worker.
  let seeds: @Sendable () throws -> [Files]
  /// Mutates a seed.
  let mutate: @Sendable (Files, inout Randomness) -> Files
  /// Reads the files in a folder; throws if they are refused.
  let read: @Sendable (_ folder: URL) throws -> Void

  /// The input of an index: a mutated seed, or for a negative index an input of the corpus, whose last has the index
  /// -1.
  func input(_ index: Int, seed: UInt64, of seeds: [Files], corpus: Corpus) -> Files {
    if index < 0 { return corpus.inputs[corpus.inputs.count + index] }
    var random = Randomness(seed: seed, target: name, index: index)
    let files = random.pick(seeds)
    return mutate(files, &random)
  }
}

extension Target {
  /// Mutates one file of an input according to the format that its name indicates.
  @Sendable static func mutateOneFile(_ files: Files, _ random: inout Randomness) -> Files {
    var files = files
    let name = random.pick(files.keys.sorted())
    files[name] = mutated(files[name] ?? [], named: name, &random)
    return files
  }

  /// Removes a file of an input, or mutates it.
  static func mutateOrRemove(_ name: String, of files: Files, _ random: inout Randomness) -> Files {
    var files = files
    files[name] = random.once(in: 20) ? nil : mutated(files[name] ?? [], named: name, &random)
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
