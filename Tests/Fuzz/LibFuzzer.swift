import ArgumentParser
import Foundation
import Synchronization

/// Parsers whose inputs libFuzzer makes, guided by the branches that they take.
///
/// The program must be built as `scripts/fuzz --libfuzzer` does: instrumented, and with libFuzzer linked in.
enum LibFuzzer {
  /// The file of a target that libFuzzer writes; the others of the seed stay as they are.
  private static let files = [
    "safetensors": "model.safetensors", "index": "model.safetensors.index.json", "config": "config.json",
    "generation": "generation_config.json", "tokenizer": "tokenizer.json", "recipe": "recipe.yaml", "text": "a.txt",
    "lines": "a.jsonl", "gzip": "a.txt.gz", "conversations": "chat.jsonl", "flags": "arguments",
  ]

  private struct Parser {
    let folder: URL
    /// The name of the file, and the files beside it.
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

  /// Runs libFuzzer on a parser. It ends the process at a fault, and keeps the input in the current folder.
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
