import TestSupport
import Testing
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

/// Training steps in a graph, with a stand-in for the GPU that runs the captured work again on the CPU.
@Suite struct GraphTrainingStepTests {
  @Test(arguments: [("plain", []), ("wide", []), ("wide", ["training.activation_checkpointing=true"])])
  func graphSteps_equalComposedSteps(name: String, changes: [String]) throws {
    // Some steps are clipped, and the learning rate changes every step.
    let fixture = try TrainerFixture(
      in: TemporaryFolder(), name, changes + ["optimizer.clip=0.6", "schedule.warmup_steps=4"])
    let (composed, uncaptured, captured) = (try fixture.trainer(), try fixture.trainer(), try fixture.trainer())
    let (capturer, refusing) = (FakeCapturer(), FakeCapturer(refuses: true))
    captured.useGraph(capturer.capture)
    uncaptured.useGraph(refusing.capture)
    var norms: [Double] = []
    for step in 1...6 {
      let (expected, same, found) = (try composed.step(), try uncaptured.step(), try captured.step())
      #expect(found.number == step && found.learningRate == expected.learningRate)
      #expect(found.losses.map(\.name) == expected.losses.map(\.name))
      for (one, other) in zip(found.losses, expected.losses) {
        #expect(abs(one.value - other.value) < 2e-5 * abs(other.value), "step \(step)")
      }
      #expect(abs(found.gradientNorm - expected.gradientNorm) < 1e-3 * expected.gradientNorm)
      norms.append(found.gradientNorm)
      // A replay computes the same bits as a step that is not captured.
      #expect(found.losses.map(\.value) == same.losses.map(\.value) && found.gradientNorm == same.gradientNorm)
      #expect(try captured.evaluate() == uncaptured.evaluate())
      // The gradients of captured work are not released.
      #expect(captured.model.weights.tensors.values.allSatisfy { ($0.gradient != nil) == (step > 1) })
    }
    #expect(norms.contains { $0 > 0.65 } && norms.contains { $0 < 0.58 }, "\(norms)")
    #expect(capturer.captures == 1 && capturer.runs == 5)
    #expect(refusing.captures == 1 && refusing.runs == 0)
    #expect(try weights(of: captured) == weights(of: uncaptured))
    #expect(try moments(of: captured) == moments(of: uncaptured))
    for (name, moment) in composed.optimizer.moments {
      let other = try #require(captured.optimizer.moments[name])
      #expect(try relativeError(of: other, to: moment) < 1e-3, "\(name)")
    }
  }

  @Test("one graph step changes the weights as a composed step, up to rounding") func weights_afterOneStep() throws {
    let fixture = try TrainerFixture("wide", "schedule.warmup_steps=0", "optimizer.clip=0.5")
    let (composed, captured) = (try fixture.trainer(), try fixture.trainer())
    captured.useGraph(FakeCapturer().capture)
    _ = (try composed.step(), try captured.step())
    for (name, weight) in composed.model.weights.tensors {
      let other = try #require(captured.model.weights.tensors[name])
      #expect(try relativeError(of: other.detached(), to: weight.detached()) < 1e-5, "\(name)")
    }
  }

  @Test(arguments: [0, 1, 4]) func step_notFinite_changesNothing(steps: Int) throws {
    let trainer = try TrainerFixture("wide").trainer()
    let capturer = FakeCapturer()
    trainer.useGraph(capturer.capture)
    for _ in 0..<steps { _ = try trainer.step() }
    let poisoned = try #require(trainer.model.weights.tensors["model.layers.1.self_attn.v_proj.weight"])
    try withTorch { withoutGradients { poisoned.fill(.nan) } }
    let (weights, moments) = (try weights(of: trainer), try moments(of: trainer))
    for _ in 0..<2 {
      #expect(
        message { _ = try trainer.step() }
          == "step \(steps + 1): the loss is nan and the gradient norm nan; stopped before the update")
    }
    #expect(trainer.stepsTaken == steps)
    #expect(try self.weights(of: trainer) == weights)
    #expect(try self.moments(of: trainer) == moments)
    #expect(capturer.runs == steps + 1)
  }

  @Test("each change of the batch's shape captures a new graph") func capture_ofAnotherShape() throws {
    let trainer = try TrainerFixture("plain").trainer()
    let capturer = FakeCapturer()
    let graphStep = GraphTrainingStep(
      TrainingStep(trainer.model, trainer.optimizer, recomputesLayers: false), capture: capturer.capture)
    func step(_ rows: Int) throws -> Double {
      let tokens = try withTorch { Tensor.full([rows, 8], 5, .int64) }
      return try #require(try graphStep.take(tokens, tokens, learningRate: 1e-2).losses.first).value
    }
    let losses = try [2, 2, 2, 3, 3, 2, 2].map(step)
    #expect(capturer.captures == 3 && capturer.runs == 4)
    // Equal rows have the same loss, whatever their number; it decreases with every step.
    #expect(zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 })
  }

  @Test("a step with one batch learns, and changes nothing if it is not finite")
  func take_oneBatch() throws {
    let trainer = try TrainerFixture("wide", "optimizer.clip=0.5").trainer()
    let step = TrainingStep(trainer.model, trainer.optimizer, recomputesLayers: false)
    let tokens = try withTorch { Tensor.full([2, 8], 5, .int64) }
    let batch = Batch(tokens: tokens, targets: tokens)
    let losses = try (0..<4).map { _ in
      let result = try step.take(batch, learningRate: 1e-2)
      #expect(result.isFinite)
      return try #require(result.losses.first).value
    }
    #expect(zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 })
    let poisoned = try #require(trainer.model.weights.tensors["model.layers.1.self_attn.v_proj.weight"])
    try withTorch { withoutGradients { poisoned.fill(.nan) } }
    let before = try weights(of: trainer)
    #expect(try !step.take(batch, learningRate: 1e-2).isFinite)
    #expect(try weights(of: trainer) == before)
  }

  @Test("steps with experts or accumulation are not captured") func capture_unsupported() throws {
    for (name, changes) in [("mixture", []), ("plain", ["training.rows_per_batch=1"])] {
      let trainer = try TrainerFixture(in: TemporaryFolder(), name, changes).trainer()
      let capturer = FakeCapturer()
      trainer.useGraph(capturer.capture)
      for _ in 0..<3 { _ = try trainer.step() }
      #expect(capturer.captures == 0)
    }
  }

  private func weights(of trainer: Trainer) throws -> [String: [UInt32]] {
    try Dictionary(
      uniqueKeysWithValues: trainer.model.weights.tensors.map {
        ($0.key, try $0.value.detached().elements(Float.self).map(\.bitPattern))
      })
  }

  private func moments(of trainer: Trainer) throws -> [String: [Float]] {
    try Dictionary(
      uniqueKeysWithValues: trainer.optimizer.moments.map { ($0.key, try $0.value.elements(Float.self)) })
  }
}
