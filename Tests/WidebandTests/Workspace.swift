import Foundation
import TestSupport
import Wideband
import WidebandCheckpoint
import WidebandTorch

/// A tokenizer, data and a finished run, created by the command, that tests share and only read.
struct Workspace: Sendable {
  let url: URL
  /// The output of the commands.
  let outputs: [String]

  private init(_ url: URL) throws {
    self.url = url
    var outputs: [String] = []
    func run(_ arguments: String...) throws {
      let result = try Executable.run(arguments, in: url)
      outputs.append(result.output + "status \(result.status)")
    }
    try FileManager.default.copyItem(at: Fixtures.url("golden/genesis.txt"), to: url.appending(path: "text.txt"))
    try FileManager.default.copyItem(at: Fixtures.url("golden/wide.yaml"), to: url.appending(path: "recipe.yaml"))
    try run("tokenizer", "train", "--size", "320", "--output", "tokenizer", "text.txt")
    try run(
      "data", "prepare", "--tokenizer", "tokenizer", "--output", "tokens", "--validation-fraction", "0.2", "text.txt")
    try run("train", "--recipe", "recipe.yaml", "--data", "tokens", "--output", "run", "--set", Self.steps)
    self.outputs = outputs
  }

  /// The number of steps of the run: enough to interrupt it.
  static let steps = "training.steps=60"

  private static let made = Result { () throws -> Workspace in
    let url = FileManager.default.temporaryDirectory.standardizedFileURL
      .appending(path: "wideband-workspace-\(ProcessInfo.processInfo.processIdentifier)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    atexit {
      let name = "wideband-workspace-\(ProcessInfo.processInfo.processIdentifier)"
      try? FileManager.default.removeItem(
        at: FileManager.default.temporaryDirectory.standardizedFileURL.appending(path: name))
    }
    return try Workspace(url)
  }

  /// The shared workspace.
  static func shared() throws -> Workspace { try made.get() }

  /// The path of a file or folder in it.
  func callAsFunction(_ name: String) -> String { url.appending(path: name).path }

  /// The last checkpoint of the run.
  var model: String { self("run/checkpoints/step-00000060") }

  /// A copy of the trained model that a test may change.
  func copyOfModel() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for name in try FileManager.default.contentsOfDirectory(atPath: model) {
      try FileManager.default.copyItem(atPath: "\(model)/\(name)", toPath: folder(name))
    }
    return folder
  }
}

/// Tests with the shared workspace and a folder of their own.
class WorkspaceTests {
  let workspace: Workspace
  let folder: TemporaryFolder

  init() throws {
    workspace = try .shared()
    folder = try TemporaryFolder()
  }
}

extension TemporaryFolder {
  /// Rewrites the weights of a model folder.
  func changeTensors(_ change: (inout [String: Tensor]) throws -> Void) throws {
    let file = url("model.safetensors")
    var tensors = try SafetensorsFile(file).tensors()
    try change(&tensors)
    try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: file)
  }
}
