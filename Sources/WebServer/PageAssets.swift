// What the pages need besides themselves, as part of the program: nothing is fetched from anywhere else.

/// The files beside the pages.
public enum PageAssets {
    /// CSS.
    public static let style = PackageResources.style_css
    /// JavaScript.
    public static let script = PackageResources.page_js
    /// SVG.
    public static let icon = PackageResources.icon_svg
    /// The OpenAPI description of what programs may ask for.
    public static let interface = PackageResources.openapi_json
}
