/// A file of a page, which is part of the program.
struct Page: Sendable {
  /// The path in an address.
  let path: String
  let content: [UInt8]
  let mediaType: String

  /// The files of the page at `/` of the API's server.
  static let files = [
    document(PackageResources.index_html), style("style", PackageResources.style_css),
    script("chart", PackageResources.chart_js), script("chat", PackageResources.chat_js),
    script("engine", PackageResources.engine_js), script("markdown", PackageResources.markdown_js),
    script("settings", PackageResources.settings_js), script("stream", PackageResources.stream_js),
  ]

  /// The files of the page of a training run, of which some are also those of the other page.
  static let dashboard = [
    document(PackageResources.dashboard_html), style("style", PackageResources.style_css),
    style("dashboard", PackageResources.dashboard_css), script("chart", PackageResources.chart_js),
    script("curves", PackageResources.curves_js), script("dashboard", PackageResources.dashboard_js),
    script("markdown", PackageResources.markdown_js), script("stream", PackageResources.stream_js),
  ]

  private static func document(_ content: [UInt8]) -> Page {
    Page(path: "/", content: content, mediaType: "text/html; charset=utf-8")
  }

  private static func style(_ name: String, _ content: [UInt8]) -> Page {
    Page(path: "/page/\(name).css", content: content, mediaType: "text/css; charset=utf-8")
  }

  private static func script(_ name: String, _ content: [UInt8]) -> Page {
    Page(path: "/page/\(name).js", content: content, mediaType: "text/javascript; charset=utf-8")
  }
}
