import Foundation
import TestSupport
import Testing
import WidebandCheckedInput
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

@Suite struct ConfigurationCodingTests {
  /// The required keys and `more`.
  private func decoded(_ more: String) throws -> ModelConfiguration {
    let json = """
      {"vocab_size": 61, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
       "intermediate_size": 56\(more.isEmpty ? "" : ", ")\(more)}
      """
    return try decoded(Data(json.utf8))
  }

  private func decoded(_ json: Data) throws -> ModelConfiguration {
    try ValueDecoder("f").decode(ModelConfiguration.self, from: JSONValue(parsing: json, file: "f"))
  }

  @Test("omitted keys have defaults") func defaults_ofOmittedKeys() throws {
    let configuration = try decoded("")
    #expect(
      configuration
        == ModelConfiguration(
          vocabularySize: 61, hiddenSize: 48, layerCount: 2, headCount: 4, headSize: 12, intermediateSize: 56))
    #expect(configuration.keyValueHeadCount == 4)
    #expect(configuration.modelType == "qwen3")
  }

  @Test(arguments: [
    (#""model_type": "llama""#, "model_type is 'llama': expected qwen3, qwen3_moe or wideband"),
    (#""hidden_act": "gelu""#, "hidden_act is 'gelu': expected silu"),
    (
      #""eos_token_id": [3, 4294967299]"#,
      "eos_token_id is 4294967299: expected the id of a token, from 0 to 60, as vocab_size is 61"
    ),
    (#""attention_bias": true"#, "attention_bias is true: expected false, the only form supported"),
    (
      #""model_type": "qwen3", "use_sliding_window": true, "max_window_layers": 1"#,
      "use_sliding_window is true, from layer 1 of 2 on: expected full attention in every layer"
    ),
    (
      #""model_type": "qwen3_moe", "use_sliding_window": true, "max_window_layers": 28"#,
      "use_sliding_window is true, from layer 0 of 2 on: expected full attention in every layer"
    ),
    (
      #""layer_types": ["full_attention", "sliding_attention"]"#,
      "layer_types[1] is 'sliding_attention': expected full_attention, the only kind supported"
    ),
    (
      #""architectures": ["Qwen3ForSequenceClassification"]"#,
      "architectures has 'Qwen3ForSequenceClassification': expected Qwen3ForCausalLM, Qwen3MoeForCausalLM or "
        + "WidebandForCausalLM"
    ),
    (
      #""quantization_config": {"bits": 4}"#,
      "quantization_config.quant_method is missing: expected wideband, the only one supported"
    ),
    (
      #""quantization_config": {"quant_method": "gptq", "bits": 4}"#,
      "quantization_config.quant_method is 'gptq': expected wideband, the only one supported"
    ),
    (
      #""quantization_config": {"quant_method": "wideband", "scheme": "int8", "group_size": 64}"#,
      "quantization_config.group_size is 64: expected 32, the only one supported"
    ),
    (
      #""rope_scaling": {"type": "linear", "factor": 4}"#,
      "rope_scaling.rope_type is 'linear': expected default, the only kind supported"
    ),
    (
      #""rope_scaling": {"rope_type": "yarn"}"#,
      "rope_scaling.rope_type is 'yarn': expected default, the only kind supported"
    ),
    (
      #""rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6}"#,
      "rope_parameters.rope_type is 'yarn': expected default, the only kind supported"
    ),
    (
      #""rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}"#,
      "rope_parameters.partial_rotary_factor is 0.5: expected 1, the only one supported"
    ),
    (
      #""rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}"#,
      "rope_parameters.full_attention is present: expected one rope_theta for all layers"
    ),
  ])
  func features_unsupported_areRejected(more: String, error: String) {
    #expect(message { _ = try decoded(more) } == error)
  }

  @Test("an unsupported feature is distinguished from an invalid value")
  func error_kind() throws {
    #expect {
      _ = try decoded(#""attention_bias": true"#)
    } throws: {
      if case .unsupported? = $0 as? ConfigurationError { true } else { false }
    }
  }

  @Test(arguments: [QuantizationScheme.int8, .int4]) func quantization_readsBack(scheme: QuantizationScheme) throws {
    var configuration = try decoded("")
    configuration.quantization = scheme
    let json = String(decoding: try configuration.json(), as: UTF8.self)
    let entry = """
        "quantization_config" : {
          "group_size" : 32,
          "quant_method" : "wideband",
          "scheme" : "\(scheme)"
        },
      """
    #expect(json.contains(entry))
    #expect(try decoded(Data(json.utf8)) == configuration)
  }

  @Test("unsupported features that are off are accepted") func features_off() throws {
    let off = """
      "model_type": "qwen3", "hidden_act": "silu", "attention_bias": false, "use_sliding_window": false,
      "quantization_config": null, "rope_scaling": null, "sliding_window": null, "unheard_of": {"a": [1]}
      """
    #expect(try decoded(off) == decoded(#""model_type": "qwen3""#))
    let unused = """
      "model_type": "qwen3", "use_sliding_window": true, "sliding_window": 4096, "max_window_layers": 2,
      "layer_types": ["full_attention", "full_attention"], "torch_dtype": "bfloat16", "dtype": "float32"
      """
    #expect(try decoded(unused) == decoded(#""model_type": "qwen3""#))
    #expect(try decoded(#""rope_parameters": {"rope_type": "default"}"#) == decoded(""))
    #expect(try decoded(#""head_dim": null, "eos_token_id": null, "rope_theta": null"#) == decoded(""))
  }

  @Test(arguments: [
    (#""rope_theta": 5e5"#, 5e5), (#""rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}"#, 1e6),
    (#""rope_theta": 5e5, "rope_parameters": {"rope_theta": 7e5}"#, 7e5),
    (#""rope_theta": 5e5, "rope_parameters": {"rope_type": "default"}"#, 5e5), ("", 10_000),
    (#""rope_scaling": {"rope_type": "default", "rope_theta": 3e5}"#, 3e5),
    (#""rope_theta": 5e5, "rope_scaling": {"type": "default"}"#, 5e5),
  ])
  func ropeTheta_inOldAndNewSpelling(more: String, theta: Double) throws {
    #expect(try decoded(more).ropeTheta == theta)
  }

  @Test("keys omitted in Qwen3's files have the defaults of transformers") func defaults_ofQwenFiles() throws {
    let dense = try decoded(#""model_type": "qwen3""#)
    #expect(dense.headSize == 128)
    #expect(dense.contextLength == 32_768)
    let experts = #""num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8"#
    let mixture = try decoded(#""model_type": "qwen3_moe", \#(experts)"#)
    #expect(mixture.headSize == 12)
    #expect(mixture.experts?.isRenormalized == false)
    #expect(mixture.experts?.balanceLossWeight == 0.001)
    #expect(try decoded(experts).experts?.isRenormalized == true)
  }

  @Test(arguments: [
    (#""eos_token_id": 3"#, [3]), (#""eos_token_id": [3, 60]"#, [3, 60]), (#""eos_token_id": []"#, []), ("", []),
  ])
  func endOfTextIsANumberOrAList(more: String, tokens: [TokenID]) throws {
    #expect(try decoded(more).endOfTextTokens == tokens)
  }

  @Test(arguments: ["num_experts", "num_local_experts"]) func expertsInOldAndNewSpelling(key: String) throws {
    let configuration = try decoded(
      #""\#(key)": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "router_aux_loss_coef": 0.01"#)
    #expect(
      configuration.experts
        == ModelConfiguration.Experts(count: 6, perToken: 2, intermediateSize: 16, balanceLossWeight: 0.01))
    #expect(configuration.modelType == "qwen3_moe")
    #expect(try decoded(#""\#(key)": 0"#).experts == nil)
  }

  @Test("a negative number of experts is not a dense model")
  func experts_negative() throws {
    let experts = try decoded(#""num_experts": -1, "num_experts_per_tok": 1, "moe_intermediate_size": 8"#)
    #expect(
      message { try experts.validate() } == "num_experts is -1: expected an integer from 1 to 65536")
  }

  @Test("a count without its other keys, and kinds of more layers than there are, are named")
  func counts_thatDisagree() throws {
    let experts = try decoded(#""num_experts": -1"#)
    #expect(message { try experts.validate() } == "num_experts is -1: expected an integer from 1 to 65536")
    let sentence = message { _ = try decoded(#""layer_types": ["full_attention"]"#) }
    #expect(sentence.hasPrefix("layer_types has 1 layers: expected as many as num_hidden_layers, which is "))
  }

  @Test("the classes without a head have the same configuration")
  func architectures_withoutHead() throws {
    for name in ["Qwen3Model", "Qwen3MoeModel"] {
      #expect(try decoded(#""architectures": ["\#(name)"]"#) == decoded(""))
    }
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name)) func configuration_readsBackEqual(name: String) throws {
    var configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    configuration.endOfTextTokens = [60, 2]
    configuration.ropeTheta = 1e6
    configuration.normEpsilon = 1e-5
    configuration.experts?.denseLayers = [1]
    configuration.directDecoding = .init(encodingLayers: 1, decodingLayers: 1, cycle: 4, gate: .select)
    let again = try decoded(JSONEncoder().encode(configuration))
    #expect(again == configuration)
    configuration.endOfTextTokens = [5]
    let one = try decoded(JSONEncoder().encode(configuration))
    #expect(one == configuration)
  }

  @Test(arguments: Fixtures.models) func fixtures_readBackEqual(name: String) throws {
    let configuration = try Fixtures.configuration(name)
    let again = try decoded(JSONEncoder().encode(configuration))
    #expect(again == configuration)
  }

  @Test("plain models are written with Qwen3's names") func modelType_written() throws {
    func written(_ configuration: ModelConfiguration) throws -> [String: Any] {
      try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode(configuration)) as? [String: Any])
    }
    let plain = try written(.small())
    #expect(plain["model_type"] as? String == "qwen3")
    #expect(plain["architectures"] as? [String] == ["Qwen3ForCausalLM"])
    #expect(plain["virtual_width"] == nil)
    let experts = try written(.small { $0.experts = .init(count: 4, perToken: 2, intermediateSize: 8) })
    #expect(experts["model_type"] as? String == "qwen3_moe")
    #expect(experts["architectures"] as? [String] == ["Qwen3MoeForCausalLM"])
    #expect(experts["num_experts"] as? Int == 4)
    let wide = try written(.everything)
    #expect(wide["model_type"] as? String == "wideband")
    #expect((wide["virtual_width"] as? [String: Any])?["fraction_rate"] as? Int == 4)
  }
}
