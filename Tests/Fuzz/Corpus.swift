import Foundation
import WidebandCheckedInput

/// Inputs that revealed a defect in the past: each run reads them first.
struct Corpus {
  /// The folder with a folder `TARGET-NAME` for each input.
  static let folder = Fixtures.folder.deletingLastPathComponent().appending(path: "Fuzz/Corpus")

  /// The inputs of one target and their names, sorted by name.
  let names: [String]
  let inputs: [Files]

  init(of target: String) throws {
    let all = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
    names = all.filter { $0.hasPrefix(target + "-") }
    inputs = try names.map { name in
      let root = Self.folder.appending(path: name)
      var files: Files = [:]
      for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
        let file = root.appending(path: path)
        guard !isFolder(file.path) else { continue }
        files[path] = [UInt8](try Data(contentsOf: file))
      }
      return files
    }
  }
}
