// The board: a click on the head of a column sorts by it, another one the other way round.
const board = document.querySelector("#board");

// Numbers may have a unit behind them; empty cells stay at the end.
function sort(column, direction) {
  const body = board.tBodies[0];
  const text = (row) => row.cells[column].textContent.trim();
  const number = (row) => Number(text(row).replace(/ .*|,/g, ""));
  const filled = [...body.rows].filter((row) => text(row) !== "");
  const empty = [...body.rows].filter((row) => text(row) === "");
  const areNumbers = filled.every((row) => !Number.isNaN(number(row)));
  filled.sort((a, b) =>
    direction * (areNumbers ? number(a) - number(b) : text(a).localeCompare(text(b))),
  );
  body.append(...filled, ...empty);
}

for (const head of board ? board.tHead.rows[0].cells : []) {
  head.tabIndex = 0;
  const turn = () => {
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of board.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    sort(head.cellIndex, direction);
  };
  head.addEventListener("click", turn);
  head.addEventListener("keydown", (event) => event.key === "Enter" && turn());
}
