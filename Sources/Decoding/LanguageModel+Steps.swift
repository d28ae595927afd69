import LanguageModel
import Torch

extension LanguageModel {
  /// Runs a pass over new positions without derivatives, with the processor's threads standing by where they are so few
  /// that their kernels take them at once.
  func passing<Result>(_ positionCount: Int, _ pass: () throws -> Result) throws -> Result {
    let isStep =
      positionCount <= Kernels.mostStepPositions && weights.device == .cpu && Kernels.selected == .fused
    return try withTorch { try withoutGradients { try isStep ? standingBy(pass) : pass() } }
  }
}
