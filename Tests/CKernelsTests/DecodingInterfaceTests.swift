import Testing
import WidebandCKernels

/// What the sublayers of decoding refuse before they touch anything.
@Suite struct DecodingInterfaceTests {
  private let memory = Memory(repeating: 0.5, count: 64)

  private func matrix(_ outputs: Int64, _ inputs: Int64) -> ck_matrix {
    ck_matrix(format: CK_FLOAT32, outputs: outputs, inputs: inputs, values: memory.pointer, scales: nil)
  }

  /// D = 4, two queries' heads of two channels, one key's.
  private func attends(
    from start: Int64 = 0, scales: UnsafeMutablePointer<Float>? = nil,
    _ change: (inout ck_attention_layer) -> Void = { _ in }
  ) -> Bool {
    let p = UnsafePointer(memory.pointer)
    var layer = ck_attention_layer(
      heads: 2, key_value_heads: 1, head_size: 2, epsilon: 1e-5, norm: p, query_norm: p, key_norm: p,
      query: matrix(4, 4), key: matrix(2, 4), value: matrix(2, 4), output: matrix(4, 4))
    change(&layer)
    let (keys, values, y) = (
      Memory(repeating: 0, count: 6), Memory(repeating: 0, count: 6), Memory(repeating: 7, count: 4)
    )
    let view = ck_kv_view(
      format: CK_FLOAT32, capacity: 3, start: start, rows: 1, keys: keys.pointer, values: values.pointer,
      key_scales: scales, value_scales: scales)
    let isDone = withUnsafePointer(to: layer) { layer in
      withUnsafePointer(to: view) { view in
        var args = ck_attention_sublayer_args(
          layer: layer, sequences: view, count: 1, x: p, cosine: p, sine: p, adds_input: false, y: y.pointer)
        return ck_attention_sublayer(&args, 1)
      }
    }
    #expect(isDone == y.elements.allSatisfy { $0 != 7 })
    return isDone
  }

  @Test func attention() {
    #expect(attends() && attends(from: 2))
    #expect(!attends(from: 3) && !attends(from: -1))
    #expect(!attends(scales: memory.pointer))
    #expect(!attends { $0.heads = 3 })
    #expect(!attends { $0.key_value_heads = 0 })
    #expect(!attends { $0.head_size = 1 })
    #expect(!attends { $0.key = matrix(2, 3) })
    #expect(!attends { $0.value = matrix(4, 4) })
    #expect(!attends { $0.key.format = CK_BFLOAT16 })
    #expect(!attends { $0.query.format = CK_INT8 })
    #expect(!attends { $0.output = matrix(4, 3) })
    #expect(!attends { $0.output = matrix(5, 4) })
  }

  /// D = 4, F = 3, and with `experts` as many networks of which `chosen` are taken.
  private func feeds(
    experts: Int64? = nil, chosen: Int64 = 1, router: ck_matrix? = nil,
    _ change: (inout (gate: ck_matrix, up: ck_matrix, down: ck_matrix)) -> Void = { _ in }
  ) -> Bool {
    var last = (gate: matrix(3, 4), up: matrix(3, 4), down: matrix(4, 3))
    change(&last)
    let before = Array(repeating: (matrix(3, 4), matrix(4, 3)), count: Int(experts ?? 1) - 1)
    let (gates, ups, downs) = (
      before.map(\.0) + [last.gate], before.map(\.0) + [last.up], before.map(\.1) + [last.down]
    )
    var routing = router ?? matrix(experts ?? 1, 4)
    let y = Memory(repeating: 7, count: 4)
    let isDone = withUnsafePointer(to: &routing) { routing in
      gates.withUnsafeBufferPointer { gates in
        ups.withUnsafeBufferPointer { ups in
          downs.withUnsafeBufferPointer { downs in
            let layer = ck_feed_forward_layer(
              epsilon: 1e-5, norm: memory.pointer, router: experts == nil ? nil : routing, experts: experts ?? 1,
              chosen: chosen, renormalizes: false, gate: gates.baseAddress, up: ups.baseAddress, down: downs.baseAddress
            )
            return withUnsafePointer(to: layer) { layer in
              var args = ck_feed_forward_sublayer_args(
                layer: layer, rows: 1, x: memory.pointer, adds_input: false, y: y.pointer)
              return ck_feed_forward_sublayer(&args, 1)
            }
          }
        }
      }
    }
    #expect(isDone == y.elements.allSatisfy { $0 != 7 })
    return isDone
  }

  @Test(arguments: [nil, 3] as [Int64?]) func feedForward(experts: Int64?) {
    #expect(feeds(experts: experts))
    #expect(!feeds(experts: experts) { $0.gate = matrix(4, 4) })
    #expect(!feeds(experts: experts) { $0.up = matrix(3, 3) })
    #expect(!feeds(experts: experts) { $0.down = matrix(4, 4) })
    #expect(!feeds(experts: experts) { $0.down = matrix(5, 3) })
    #expect(!feeds(experts: experts) { $0.up.format = CK_INT4 })
  }

  @Test func router() {
    #expect(feeds(experts: 3, chosen: 3))
    #expect(!feeds(experts: 3, chosen: 4) && !feeds(experts: 3, chosen: 0))
    #expect(!feeds(experts: 3, router: matrix(2, 4)) && !feeds(experts: 3, router: matrix(3, 5)))
  }
}
