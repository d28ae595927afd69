import Foundation

/// Access to the innermost error scope of the calling thread.
enum ThreadLocal {
  private static let key = "wideband.torch.scope"

  static var scope: ErrorScope? {
    get { Thread.current.threadDictionary[key] as? ErrorScope }
    set { Thread.current.threadDictionary[key] = newValue }
  }
}
