"""Names that break careless renderers."""

NAMES = (
    "[/red]evil",
    "[bold]loud[/bold]",
    "=cmd()",
    "@SUM(A1)",
    "-1+1",
    "\x1b]0;title\x07\x1b[31mred",
    "two\nlines\r\tand a tab",
    "x" * 10_000,
    "\u202egnp.exe",
    "名前 🙂",
    r"$\frac{1}{0}$ and \$",
    'quo"te, comma',
    "",
)
