import TestSupport
import Testing
import WidebandTorch

@testable import WidebandTraining

struct TrainedWeightsTests {
  /// The names of the weights that three steps change.
  private func changed(_ choice: String) throws -> Set<String> {
    let fixture = try TrainerFixture(
      "wide", "training.trained_weights=\(choice)", "model.ngram_memory={orders: [2], rows: 101}",
      "model.virtual_width.embedding=expanded")
    let trainer = try fixture.trainer()
    let before = try withTorch { try trainer.model.weights.tensors.mapValues { try $0.elements(Float.self) } }
    for _ in 0..<3 { _ = try trainer.step() }
    let after = try withTorch { try trainer.model.weights.tensors.mapValues { try $0.elements(Float.self) } }
    return Set(before.keys.filter { before[$0] != after[$0] })
  }

  @Test func onlyTheChosenWeightsChange() throws {
    let all = try changed("all")
    #expect(all.contains("model.layers.0.mlp.up_proj.weight") && all.contains("lm_head.weight"))
    let width = try changed("width")
    #expect(
      width.filter { !$0.contains("_connection.") }
        == [
          "model.embed_expand.weight", "model.reduce.weight", "model.reduce_norm.weight", "model.reduce_norm.bias",
          "model.ngram_memory.2.weight",
        ].filter(all.contains).reduce(into: Set()) { $0.insert($1) })
    #expect(width.contains("model.ngram_memory.2.weight") && width.contains("model.embed_expand.weight"))
    let norms = try changed("connections_and_norms")
    #expect(norms.contains("model.norm.weight") && norms.contains("model.layers.0.input_layernorm.weight"))
    #expect(norms.allSatisfy { $0.contains("_connection.") || $0.contains("norm.") })
    #expect(width.contains { $0.contains("_connection.") } && norms.contains { $0.contains("_connection.") })
  }

  @Test func aPlainModelHasNoWidth() {
    #expect(
      message { _ = try TrainerFixture("plain", "training.trained_weights=width") }
        == "plain: training.trained_weights is width: expected a model with virtual_width or ngram_memory")
  }

  @Test func frozenWeightsHaveNoMoments() throws {
    let fixture = try TrainerFixture("wide", "training.trained_weights=width")
    let moments = try fixture.trainer().optimizer.moments.keys
    #expect(moments.allSatisfy { !$0.contains("mlp.") && !$0.contains("lm_head") } && !moments.isEmpty)
  }
}
