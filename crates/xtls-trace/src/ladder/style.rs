//! The colours and shapes of the picture, in CSS.

/// What a viewer in the light shows, and one that knows no other.
pub(super) const LIGHT: &str = "\
text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2328}\
.back{fill:#fff}.life{stroke:#d0d7de;stroke-width:2}.quiet{stroke:#fff;stroke-width:4;stroke-dasharray:2 4}\
.head rect{fill:#f6f8fa;stroke:#d0d7de}.server.head rect{stroke-dasharray:4 3}.head text{font-weight:600;text-anchor:middle}\
.time{fill:#59636e;text-anchor:end}.note,.pause{fill:#59636e}.pause{text-anchor:end;font-style:italic}\
.heading{font-size:15px;font-weight:600}\
.label{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}\
.middle{text-anchor:middle}.left{text-anchor:end}\
.arrow line{stroke-width:1.6}.run line{stroke-width:5}.run .tip{stroke-width:1.6;stroke-dasharray:2 3}\
.forged line{stroke-dasharray:6 4}.cross{stroke:#cf222e;stroke-width:2.2;fill:none}\
.red{fill:#cf222e;font-weight:700}.said{font-style:italic}.answer{fill:#59636e}.answer line{stroke-width:1}\
.mark path{stroke:#fff;stroke-width:1.5}\
.fault rect,.failure rect{fill:#cf222e;opacity:.1}.failure rect{opacity:.25}.fault path,.failure path{fill:#cf222e}\
.op path{fill:#1f2328}.cut rect{fill:#59636e;opacity:.15}.cut text{font-weight:600}\
.outside{stroke:#59636e;fill:#59636e}.negotiation{stroke:#0969da;fill:#0969da}.handshake{stroke:#c2570c;fill:#c2570c}\
.secured{stroke:#1a7f37;fill:#1a7f37}.stream{stroke:#8250df;fill:#8250df}.closing{stroke:#9a8248;fill:#9a8248}";

/// What is different in the dark.
pub(super) const DARK: &str = "\
text{fill:#e6edf3}.back{fill:#0d1117}.life{stroke:#3d444d}.quiet{stroke:#0d1117}.head rect{fill:#161b22;stroke:#3d444d}\
.time,.note,.pause{fill:#9198a1}.label{stroke:#0d1117}.cross{stroke:#ff7b72}\
.red{fill:#ff7b72}.answer{fill:#9198a1}.mark path{stroke:#0d1117}.fault rect,.failure rect,.fault path,.failure path{fill:#ff7b72}\
.op path{fill:#e6edf3}.cut rect{fill:#9198a1}\
.outside{stroke:#9198a1;fill:#9198a1}.negotiation{stroke:#58a6ff;fill:#58a6ff}.handshake{stroke:#f0883e;fill:#f0883e}\
.secured{stroke:#3fb950;fill:#3fb950}.stream{stroke:#bc8cff;fill:#bc8cff}.closing{stroke:#d0b765;fill:#d0b765}";
