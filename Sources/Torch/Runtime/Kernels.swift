import WidebandCTorch

/// The implementation of operations that have a fused kernel.
public enum Kernels: String, Sendable, CaseIterable {
  /// One kernel for many operators where there is one for the device and dtype; composed operators elsewhere.
  case fused
  /// Tensor operators alone: slower, and the reference for the kernels.
  case composed

  /// The implementation that the current task uses.
  @TaskLocal public static var selected = Kernels.fused

  /// The maximum number of positions in one call of the kernels of decoding.
  public static let maximumStepPositions = Int(wb_maximum_skinny_rows())
}
