// Presses the button that the reader came for. Software that opens links in mails comes earlier, when there is no script.
"use strict";
document.querySelector("button[name=act][value=confirm]")?.click();
