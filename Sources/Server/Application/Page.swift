/// The files of the page at `/`, which are part of the program.
struct Page: Sendable {
  /// The path in an address.
  let path: String
  let content: [UInt8]
  let mediaType: String

  static let files = [
    Page(path: "/", content: PackageResources.index_html, mediaType: "text/html; charset=utf-8"),
    Page(path: "/page/style.css", content: PackageResources.style_css, mediaType: "text/css; charset=utf-8"),
    script("chart", PackageResources.chart_js), script("chat", PackageResources.chat_js),
    script("engine", PackageResources.engine_js), script("markdown", PackageResources.markdown_js),
    script("settings", PackageResources.settings_js), script("stream", PackageResources.stream_js),
  ]

  private static func script(_ name: String, _ content: [UInt8]) -> Page {
    Page(path: "/page/\(name).js", content: content, mediaType: "text/javascript; charset=utf-8")
  }
}
