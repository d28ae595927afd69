import Foundation
import Testing

@testable import WidebandCheckedInput

@Suite struct FileURLTests {
  @Test(arguments: ["~", "~/x", "~root", "~root/x", "x/~", "x", "/tmp/~"]) func namesStandForThemselves(path: String) {
    let current = FileManager.default.currentDirectoryPath
    #expect(fileURL(path).standardizedFileURL.path == (path.hasPrefix("/") ? path : "\(current)/\(path)"))
    let base = URL(filePath: "/base", directoryHint: .isDirectory)
    #expect(fileURL(path, relativeTo: base).standardizedFileURL.path == (path.hasPrefix("/") ? path : "/base/\(path)"))
  }
}
