import NIOCore

/// Closes a connection whose client has taken nothing of what waits for it during some time.
///
/// The server writes no more than the client takes: it would wait for ever, and hold the place of the request.
final class StalledWriteHandler: ChannelOutboundHandler, RemovableChannelHandler {
  typealias OutboundIn = NIOAny
  typealias OutboundOut = NIOAny

  private let limit: TimeAmount
  private var timer: RepeatedTask?
  /// Bytes that waited at the last look, and when some of them were last seen to go.
  private var waitingBytes = 0
  private var lastProgress = NIODeadline.now()

  /// - Parameter limit: the time without progress.
  init(limit: Duration) { self.limit = TimeAmount(limit) }

  func handlerAdded(context: ChannelHandlerContext) {
    // The system takes further bytes only when a part of its buffer is free again, which can be megabytes otherwise: a
    // client that reads slowly would seem to read nothing.
    try? context.channel.syncOptions?.setOption(.socketOption(.so_sndbuf), value: 128 << 10)
    let context = NIOLoopBound(context, eventLoop: context.eventLoop)
    let handler = NIOLoopBound(self, eventLoop: context.value.eventLoop)
    let interval = TimeAmount.nanoseconds(max(1, limit.nanoseconds / 4))
    timer = context.value.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
      handler.value.look(context.value)
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let written = promise ?? context.eventLoop.makePromise()
    written.futureResult.assumeIsolated().whenSuccess { self.lastProgress = .now() }
    context.write(data, promise: written)
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

  /// A long write makes progress before it is complete: fewer bytes wait than before.
  private func look(_ context: ChannelHandlerContext) {
    guard let bytes = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes) else { return }
    if bytes == 0 || bytes < waitingBytes { lastProgress = .now() }
    waitingBytes = bytes
    if .now() - lastProgress >= limit { context.close(promise: nil) }
  }
}
