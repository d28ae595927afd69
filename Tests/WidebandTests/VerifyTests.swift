import Foundation
import TestSupport
import Testing
import WidebandCheckpoint
import WidebandTorch

struct VerifyTests {
  /// A copy of a fixture with scaled expected logits.
  private func copy(_ name: String, off share: Double) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for file in ["config.json", "model.safetensors", "expected.safetensors"] {
      try FileManager.default.copyItem(at: Fixtures.url(name).appending(path: file), to: folder.url(file))
    }
    var expected = try SafetensorsFile(folder.url("expected.safetensors")).tensors()
    let logits = try #require(expected["logits"])
    expected["logits"] = try withTorch { logits * (1 + share) }
    try Safetensors.write(expected.map { (name: $0.key, tensor: $0.value) }, to: folder.url("expected.safetensors"))
    return folder
  }

  @Test func verify_outOfTolerance_exitsWith1() throws {
    let (good, near) = (Fixtures.url("models/width-2-expanded-tied").path, try copy("models/plain", off: 1e-5))
    let far = try copy("models/plain", off: 1e-3)
    let result = try Executable.run("verify", good, far.url.path, near.url.path)
    #expect(result.status == 1)
    #expect(result.errors == "")
    #expect(result.output.hasSuffix("\n\n2 of 3 folders pass\n"))
    let reports = result.output.components(separatedBy: "\n\n")
    #expect(reports[0].hasSuffix("\n  PASS"))
    #expect(reports[1].hasPrefix("\(far.url.path)\n  logits "))
    #expect(reports[1].contains("1.0e-03 of at most 2e-05"))
    #expect(reports[1].contains("WRONG"))
    #expect(reports[1].hasSuffix("\n  FAIL"))
    #expect(reports[2].hasSuffix("\n  PASS"))
  }

  @Test func verify_withinTolerance_exitsWith0() throws {
    let result = try Executable.run("verify", Fixtures.url("models/plain").path)
    #expect(result.status == 0)
    #expect(result.output.hasSuffix("\n  PASS\n\n1 of 1 folders pass\n"))
  }

  @Test func verify_invalidDevice() throws {
    expectError(
      try Executable.run("verify", "--device", "gpu", Fixtures.url("models/plain").path),
      "unknown device 'gpu': expected cpu, cuda, cuda:N or mps")
  }

  @Test func verify_unreadableFolder_fails() throws {
    let folder = try TemporaryFolder()
    let result = try Executable.run("verify", folder.path)
    #expect(result.status == 1)
    #expect(
      result.output == """
        \(folder.path)
          \(folder("config.json")): is missing from the model folder
          FAIL

        0 of 1 folders pass

        """)
  }
}
