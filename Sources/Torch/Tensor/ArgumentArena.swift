import WidebandCTorch

/// Owns the C memory that the arguments of one operator call point to: integer lists, tensor lists and strings.
final class ArgumentArena {
  private var allocations: [UnsafeMutableRawPointer] = []

  init(_ arguments: [Operator.Argument]) { allocations.reserveCapacity(arguments.count) }

  deinit { allocations.forEach { $0.deallocate() } }

  /// The argument as the C interface takes it; its pointers are valid as long as the arena.
  func lower(_ argument: Operator.Argument) -> wb_argument {
    var lowered = wb_argument()
    switch argument {
    case .none: lowered.kind = WB_NONE
    case .tensor(let tensor):
      lowered.kind = WB_TENSOR
      lowered.pointer = tensor.pointer.map { UnsafeRawPointer($0) }
    case .int(let value):
      lowered.kind = WB_INT
      lowered.integer = Int64(value)
    case .double(let value):
      lowered.kind = WB_DOUBLE
      lowered.real = value
    case .bool(let value):
      lowered.kind = WB_BOOL
      lowered.integer = value ? 1 : 0
    case .ints(let values):
      lowered.kind = WB_INTS
      lowered.count = Int64(values.count)
      lowered.pointer = copy(values.map { Int64($0) })
    case .tensors(let tensors):
      lowered.kind = WB_TENSORS
      lowered.count = Int64(tensors.count)
      lowered.pointer = copy(tensors.map(\.pointer))
    case .string(let value):
      lowered.kind = WB_STRING
      lowered.pointer = copy(Array(value.utf8) + [0])
    case .device(let device):
      lowered.kind = WB_DEVICE
      lowered.integer = device.packed
    case .generator(let generator):
      lowered.kind = WB_GENERATOR
      lowered.pointer = UnsafeRawPointer(generator.pointer)
    }
    return lowered
  }

  /// A copy of `elements` in memory of the arena.
  private func copy<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(1, elements.count * MemoryLayout<Element>.stride), alignment: MemoryLayout<Element>.alignment)
    allocations.append(memory)
    elements.withUnsafeBytes {
      memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count)
    }
    return UnsafeRawPointer(memory)
  }
}
