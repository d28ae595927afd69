import Hummingbird
import NIOCore
import NIOHTTPTypes

/// Gives the answer to bytes that are not HTTP the form of the other errors.
///
/// The parser reads nothing more after such bytes. Hummingbird answers them after the requests before them, with a status
/// alone, and closes the connection.
final class MalformedRequestHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// What the parser did not understand.
  private var failure: (any Error)?

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    failure = failure ?? error
    context.fireErrorCaught(error)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard let failure, case .head(let head) = unwrapOutboundIn(data), head.status == .badRequest,
      head.headerFields[.contentLength] == "0"
    else { return context.write(data, promise: promise) }
    let error = APIError.malformedRequest(failure)
    context.write(wrapOutboundOut(.head(Response.error(error).head)), promise: nil)
    context.write(wrapOutboundOut(.body(ByteBuffer(string: error.json.text()))), promise: promise)
  }
}
