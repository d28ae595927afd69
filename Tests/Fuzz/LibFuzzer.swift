import ArgumentParser
import Foundation
import Synchronization

/// Coverage-guided fuzzing of parsers with libFuzzer.
///
/// The program must be built by `scripts/fuzz --libfuzzer`: instrumented, and linked with libFuzzer.
enum LibFuzzer {
  /// The file of each target that libFuzzer mutates; the other files of the seed stay unchanged.
  private static let files = [
    "safetensors": "model.safetensors", "index": "model.safetensors.index.json", "config": "config.json",
    "generation": "generation_config.json", "tokenizer": "tokenizer.json", "recipe": "recipe.yaml", "text": "a.txt",
    "lines": "a.jsonl", "gzip": "a.txt.gz", "conversations": "chat.jsonl", "flags": "arguments",
  ]

  private struct Parser {
    let folder: URL
    /// The name of the mutated file, and all files of the seed.
    let file: String
    let seed: Files
    let read: @Sendable (URL) throws -> Void
  }

  private static let parser = Mutex<Parser?>(nil)

  private typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
  private typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private typealias Driver =
    @convention(c) (
      UnsafeMutablePointer<CInt>, UnsafeMutablePointer<Arguments?>, Callback
    ) -> CInt

  /// Runs libFuzzer on a parser. At a fault it writes the input to the current folder and ends the process.
  static func run(_ name: String, _ workspace: Workspace, seconds: Double, seed: UInt64) throws {
    guard let symbol = dlsym(nil, "LLVMFuzzerRunDriver") else {
      throw ValidationError("this build has no libFuzzer: expected scripts/fuzz --libfuzzer")
    }
    let targetName = ["lines": "text", "gzip": "text"][name] ?? name
    guard let file = files[name], let target = Targets.all(workspace).first(where: { $0.name == targetName }) else {
      throw ValidationError("there is no parser \(name): expected \(files.keys.sorted().joined(separator: ", "))")
    }
    let folder = workspace.folder.appending(path: "libfuzzer-\(name)")
    let (seeds, input) = (folder.appending(path: "seeds"), folder.appending(path: "input"))
    let known = try target.seeds().filter { $0[file] != nil }
    try Worker.write(Dictionary(uniqueKeysWithValues: known.enumerated().map { ("\($0)", $1[file] ?? []) }), to: seeds)
    parser.withLock { $0 = Parser(folder: input, file: file, seed: known.first ?? [:], read: target.read) }

    let words =
      [CommandLine.arguments[0], seeds.path, "-max_total_time=\(Int(clamping: seconds))", "-timeout=20"]
      + ["-seed=\(UInt32(truncatingIfNeeded: seed))", "-detect_leaks=0", "-rss_limit_mb=4096", "-max_len=65536"]
    var arguments = words.map { strdup($0) } + [nil]
    var count = CInt(words.count)
    let status = arguments.withUnsafeMutableBufferPointer { buffer in
      var start = buffer.baseAddress
      return unsafeBitCast(symbol, to: Driver.self)(&count, &start) { bytes, count in
        LibFuzzer.read([UInt8](UnsafeBufferPointer(start: bytes, count: count)))
        return 0
      }
    }
    if status != 0 { throw ExitCode(status) }
  }

  private static func read(_ bytes: [UInt8]) {
    guard let parser = parser.withLock({ $0 }) else { return }
    do {
      try Worker.write(parser.seed.merging([parser.file: bytes]) { $1 }, to: parser.folder)
      try parser.read(parser.folder)
    } catch {
      if let fault = Worker.fault(in: error) { fatalError(fault) }
    }
  }
}
