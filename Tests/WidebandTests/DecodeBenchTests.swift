import Foundation
import TestSupport
import Testing

/// The report of `bench decode`.
@Suite(.serialized) struct DecodeBenchTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.write(
      "small.json",
      text: """
        {"model_type": "qwen3", "vocab_size": 61, "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 56, "max_position_embeddings": 64,
         "tie_word_embeddings": true}
        """)
  }

  private func bench(_ arguments: String...) throws -> Executable.Result {
    try folder.run(["bench", "decode"] + arguments)
  }

  /// Bytes of a layer, and of the norm and the head.
  private let layer = Double(2 * (48 * (32 + 16 + 16) + 32 * 48 + 3 * 48 * 56 + 2 * 48 + 2 * 8))
  private let head = Double(2 * (61 * 48 + 48))

  @Test func directDecoding_randomModel() throws {
    let result = try bench(
      "--config", "small.json", "--prompt", "9", "--tokens", "8", "--runs", "1", "--cycle", "4", "--encoding-layers",
      "1", "--decoding-layers", "1", "--batch", "3", "--threads", "1", "--json"
    ).succeeding()
    let report = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    func number(_ key: String) throws -> Double { try #require(report[key] as? Double, "\(key)") }
    #expect(report["weights"] as? String == "bfloat16")
    let counts = ["prompt": 9.0, "tokens": 8, "runs": 1, "cycle": 4, "batch": 3, "threads": 1]
    for (key, value) in counts { #expect(try number(key) == value) }
    #expect(abs(try number("bytes_per_token") - (2.5 * layer + head) / 3) < 1e-6)
    #expect(abs(try number("speed_up_bound") - (4 * layer + head) / (2.5 * layer + head)) < 1e-9)
    #expect(try number("first_token_s") >= number("prefill_s"))
    let share = try number("bytes_per_token") / number("token_s") / number("read_bandwidth")
    #expect(abs(try number("share_of_bound") / share - 1) < 1e-9)
    #expect(abs(try number("prefill_tokens_per_s") * number("prefill_s") - 27) < 1e-6)
    for key in ["product_peak", "prefill_share", "tokens_per_s"] { #expect(try number(key) > 0) }
    // The array of the bandwidth measurement is not counted.
    #expect(try number("peak_bytes") > 1e7)
    #expect(try number("peak_bytes") < 1e9)
  }

  @Test func bytes_ofQuantizedWeights() throws {
    let result = try bench(
      "--config", "small.json", "--prompt", "3", "--tokens", "2", "--runs", "1", "--quantize", "int8", "--json")
    let report = try #require(
      JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any], "\(result.errors)")
    #expect(report["weights"] as? String == "int8")
    // One byte per weight, and two bytes per group of 32; norms are floats in the compute type.
    func bytes(_ rows: Int, _ columns: Int) -> Int { rows * columns + 2 * rows * ((columns + 31) / 32) }
    let attention = bytes(32, 48) + 2 * bytes(16, 48) + bytes(48, 32)
    let layer = attention + 2 * bytes(56, 48) + bytes(48, 56) + 4 * (2 * 48 + 2 * 8)
    #expect(report["bytes_per_token"] as? Double == Double(4 * layer + bytes(61, 48) + 4 * 48))
  }

  @Test func text_ofFolderWithoutTokenizer() throws {
    try folder.run("init", "--config", "small.json", "--output", "model").succeeding()
    let result = try bench("--model", "model", "--prompt", "5", "--tokens", "2", "--runs", "1").succeeding()
    let lines = result.output.split(separator: "\n")
    try #require(lines.count == 5)
    #expect(lines[0].hasPrefix("prompt of 5 tokens in ") && lines[0].hasSuffix(" GFLOP/s"))
    #expect(lines[1].hasPrefix("first token after ") && lines[1].hasSuffix(" ms a token"))
    #expect(lines[2].hasPrefix("reads 100.0 % of the layers a token, 0.1 MB of weights, "))
    #expect(lines[3].contains(" % of what can be read: "))
    #expect(lines[4].hasSuffix(" MB at most"))
  }

  @Test func sizes_outOfRange_areRefused() throws {
    expectError(
      try bench("--config", "small.json", "--prompt", "60", "--tokens", "5"),
      "--prompt is 60 and --tokens 5: expected together at most the 64 tokens of the model's context "
        + "(max_position_embeddings)")
    expectError(
      try bench("--config", "small.json", "--prompt", "9", "--tokens", "1000000"),
      "--prompt is 9 and --tokens 1000000: expected together at most the 64 tokens of the model's context "
        + "(max_position_embeddings)")
    let limits = [("--prompt", 1 << 30), ("--tokens", 1 << 30), ("--batch", 1 << 20), ("--runs", 1_000_000)]
    for (name, maximum) in limits {
      expectError(
        try bench("--config", "small.json", name, "0"), "\(name) is 0: expected from 1 to \(maximum)", status: 64)
    }
  }

  @Test func ordinaryDecoding_batch() throws {
    let result = try bench(
      "--config", "small.json", "--prompt", "9", "--tokens", "8", "--runs", "1", "--batch", "3", "--json"
    ).succeeding()
    let report = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    #expect(abs((report["bytes_per_token"] as? Double ?? 0) - (4 * layer + head) / 3) < 1e-6)
    #expect(report["batch"] as? Double == 3 && report["cycle"] == nil)
  }

  @Test func flags_contradictory_areRefused() throws {
    expectError(try bench(), "--model and --config are both missing: expected one", status: 64)
    expectError(
      try bench("--config", "small.json", "--model", "m"), "--model and --config are both given: expected one",
      status: 64)
    expectError(
      try bench("--config", "small.json", "--batch", "2", "--unaligned"),
      "--unaligned is given without --cycle: expected both", status: 64)
    expectError(
      try bench("--config", "small.json", "--cycle", "2"),
      "small.json has no direct_decoding: expected --decoding-layers with --cycle")
    try folder.write("odd.json", text: folder.read("small.json").replacing("\"head_dim\": 8", with: "\"head_dim\": 7"))
    expectError(
      try bench("--config", "odd.json"),
      "odd.json: head_dim is 7: expected an even number, as rotary positions rotate pairs")
  }
}
