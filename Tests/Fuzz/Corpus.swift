import Foundation

/// Inputs that once ended or misled a reader: each run reads them first.
struct Corpus {
  /// The folder with a folder `TARGET-NAME` of files for each.
  static let folder = Fixtures.folder.deletingLastPathComponent().appending(path: "Fuzz/Corpus")

  /// The inputs of one target and what they are called, in the order of their names.
  let names: [String]
  let inputs: [Files]

  init(of target: String) throws {
    let all = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
    names = all.filter { $0.hasPrefix(target + "-") }
    inputs = try names.map { name in
      let root = Self.folder.appending(path: name)
      var files: Files = [:]
      for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
        var isFolder: ObjCBool = false
        let file = root.appending(path: path)
        guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), !isFolder.boolValue else {
          continue
        }
        files[path] = [UInt8](try Data(contentsOf: file))
      }
      return files
    }
  }
}
