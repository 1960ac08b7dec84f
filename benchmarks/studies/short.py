"""The short answers on top of docs/RESULTS.md: which cells of the tables below hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.studies.profiles import ADDED, VECTOR
from benchmarks.studies.tables import table


@dataclass(frozen=True)
class Answer:
    """One cell: of this study, in the table with this title, in the first row that holds all these cells, in this column."""

    asked: str
    study: str
    title: str
    row: tuple[str, ...]
    column: str

    def cell(self, studies: Mapping[str, Any]) -> str | None:
        """Its text; None where the study has not been run, or has no such table, row or column."""
        for made in studies.get(self.study, {"tables": []})["tables"]:
            if made["title"] == self.title and self.column in made["header"]:
                at = made["header"].index(self.column)
                return next((row[at] for row in made["rows"] if set(self.row) <= set(row)), None)
        return None


PROTOCOL, BETTER = "{}: protocol NDCG@10", "minus the best peer"
MEANS, TENTH = "Means over 8 labels", ("mean of 8 labels, auc", "10 %")
LOST, HUNDRED, LATER = "next_product lost", "100 tasks on one model", "cj: items that came later"
ANSWERS = (
    Answer("Next product (Complete Journey), NDCG@10: GRU4Rec that copies and reads, minus the best tuned peer",
           "backbones", PROTOCOL.format("cj"), ("gru4rec_copy_text_cj",), BETTER),
    Answer("Next film (MovieLens-100k), NDCG@10: SASRec, minus the best tuned peer",
           "backbones", PROTOCOL.format("ml100k"), ("sasrec_ml100k",), BETTER),
    Answer("Profiles, mean AUC of 8 labels: a probe on the frozen user vector, minus one on an SVD of as many numbers",
           "profiles", MEANS, (VECTOR, "fresh splits", "auc"), "difference"),
    Answer("… a task added to the living model, minus logistic regression on TF-IDF items",
           "profiles", MEANS, (ADDED, "LR TF-IDF", "auc"), "difference"),
    Answer("… a task added to the living model, minus gradient boosting on shares of categories",
           "profiles", MEANS, (ADDED, "GBDT categories", "auc"), "difference"),
    Answer("… a task added to the living model, minus the same network from random weights",
           "profiles", MEANS, (ADDED, "from random weights", "auc"), "difference"),
    Answer("… with a tenth of the labelled users: a task added, minus the same network from random weights",
           "transfer", "Labels", TENTH, "conure, minus from random weights"),
    Answer("… with a tenth of the labelled users: a task added, minus scratch with all that is fitted in closed form",
           "transfer", "Labels", TENTH, "conure, minus scratch"),
    Answer("Forgetting, Complete Journey: NDCG@10 of the first task, lost after all others, conure",
           "strategies", "cj: every strategy", ("conure",), LOST),
    Answer("… lost by training on and on (sequential)",
           "strategies", "cj: every strategy", ("sequential",), LOST),
    Answer("… lost by training on everything again (joint)",
           "strategies", "cj: every strategy", ("joint",), LOST),
    Answer("A hundred tasks on one model: values of earlier tasks that changed",
           "hundred", HUNDRED, ("probe values of earlier tasks that changed",), "figure"),
    Answer("… what a task stores, of the first one's bytes",
           "hundred", HUNDRED, ("a task's bytes, all files, of the first task's",), "figure"),
    Answer("… accuracy of tasks 90 to 100, minus scratch",
           "hundred", HUNDRED, ("accuracy over scratch, tasks 90 to 100",), "figure"),
    Answer("Products that came after training, read by their text: HR@10 among themselves",
           "contents", LATER, ("text, frozen",), "HR@10 among the withheld"),
    Answer("… by chance",
           "contents", LATER, ("*chance*",), "HR@10 among the withheld"),
)  # fmt: skip


def short(studies: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have an answer, as a table."""
    found = ((answer, answer.cell(studies)) for answer in ANSWERS)
    return table(
        "In short", ("asked", "answer", "from"), ((a.asked, cell, _link(studies[a.study])) for a, cell in found if cell)
    )


def _link(study: Mapping[str, Any]) -> str:
    """To its heading on the same page."""
    title: str = study["title"]
    return f"[{title}](#{title.lower().replace(' ', '-')})"
