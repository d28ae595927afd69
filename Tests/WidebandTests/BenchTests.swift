import TestSupport
import Testing

struct BenchTests {
  private let small = ["bench", "connections", "--hidden-size", "16", "--tokens", "8"]

  @Test func connections_areCheckedAndTimed() throws {
    let text = try Executable.run(small + ["--widths", "2:3,4:4"])
    #expect(text.status == 0)
    #expect(text.errors == "")
    let lines = text.output.split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("(m, n) = ") } == ["(m, n) = (2, 3)", "(m, n) = (4, 4)"])
    #expect(lines.filter { $0.hasPrefix("  float32: ") && $0.hasSuffix(", ok") }.count == 2)
    for name in ["read, write", "write and read", "backward"] {
      #expect(lines.filter { $0.hasPrefix("  \(name) ") && $0.hasSuffix(" of the copy's bandwidth") }.count == 2)
    }
    let json = try Executable.run(small + ["--widths", "2:3", "--json"])
    #expect(json.output.split(separator: "\n").count == 2)
    #expect(json.output.contains("{\"m\": 2, \"n\": 3, \"right\": true, \"read, write\": {\"seconds\": "))
  }

  @Test(arguments: ["2", "2:x", "3:2", "0:1", "2:3:4", "2:99999"]) func widths_invalid_areRefused(_ text: String)
    throws
  {
    expectError(
      try Executable.run(small + ["--widths", text]),
      "--widths has '\(text)': expected m:n with 1 ≤ m ≤ n ≤ 1024, as in 4:16", status: 64)
  }

  @Test("sizes whose product overflows are refused")
  func config_overflow() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      "config.json",
      text: """
        {"model_type": "qwen3", "vocab_size": 300, "hidden_size": 1048576, "num_hidden_layers": 10000,
         "num_attention_heads": 65536, "num_key_value_heads": 65536, "head_dim": 65536, "intermediate_size": 16777216}
        """)
    for arguments in [["bench", "step"], ["bench", "decode"], ["init", "--output", "x"], ["info"]] {
      let result = try folder.run(arguments + (arguments == ["info"] ? ["config.json"] : ["--config", "config.json"]))
      let error = result.errors.split(separator: "\n").last ?? ""
      #expect(result.status == 1 && error.contains("config.json: "), "\(arguments) \(result.errors)")
      #expect(error.contains(": expected fewer"), "\(arguments) \(result.errors)")
    }
    #expect(!folder.exists("x"))
  }

  @Test func sizes_outOfRange_areRefused() throws {
    expectError(
      try Executable.run(small + ["--widths", "3:4"]), "--hidden-size is 16: expected a multiple of m = 3", status: 64)
    expectError(
      try Executable.run("bench", "connections", "--tokens", "0"), "--tokens is 0: expected from 1 to 16777216",
      status: 64)
  }
}
