"""The page of results: made of the JSON alone, tables that read the same every time, statistics worked by hand."""

import doctest
import json
from dataclasses import replace

import pytest

from benchmarks import results
from benchmarks.studies import claims, papers, profiles, tables, transfer
from benchmarks.studies.short import ANSWERS, short
from benchmarks.studies.tables import difference, ranged, signed, table


def test_doctests():
    assert doctest.testmod(tables).failed == 0


def document():
    made = table("Values", ("what", "value"), [("a|b", 0.5)], "A note.")
    record = {"commit": "abc", "test_ranks": "1 2 3", "value": float("nan"), "inner": {"curve": [1], "kept": 2}}
    study = {
        "title": "Made up",
        "about": "Nothing was measured.",
        "tables": [made],
        "records": {"a/b": results.thin(record)},
    }
    return {"stamp": {"machine": {"cpu": "x"}, "at": "now", "commit": "abc"}, "studies": {"papers": study}}


def test_the_page_is_made_of_the_json_alone(tmp_path):
    results.write(document(), tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["studies"]["papers"]["records"]["a/b"] == {"commit": "abc", "value": None, "inner": {"kept": 2}}
    text = (tmp_path / "RESULTS.md").read_text()
    assert text == results.page(kept)
    for found in ("## Made up", "| what | value |", "|---|---|", "| a\\|b | 0.5 |", "A note.", "commits abc"):
        assert found in text


def test_every_short_answer_stands_in_a_table_below():
    studies = json.loads((results.DOCS / "results.json").read_text())["studies"]
    for answer in ANSWERS:
        cell = answer.cell(studies)
        assert cell, answer
        assert f"| {answer.asked} | {cell} |" in results.page({**document(), "studies": studies})
        assert replace(answer, column="no such column").cell(studies) is None
        assert replace(answer, row=(*answer.row, "no such cell")).cell(studies) is None
    assert short({})["rows"] == []


@pytest.mark.parametrize("name", results.STUDIES)
def test_every_study_has_what_the_page_needs(name):
    study = results.study(name)
    assert study.TITLE
    assert study.ABOUT
    assert callable(study.run)
    assert callable(study.tables)


def test_statistics_by_hand():
    assert ranged([0.5]) == ".5000 (1)"
    assert ranged([0.4, 0.6]) == ".5000 ± 1.2706 (2)"  # t(1 degree) × sd / √2
    assert ranged([]) == "–"
    same = difference([{"value": 0.1, "low": 0.05, "high": 0.15}] * 3)
    assert (same["low"], same["high"]) == (pytest.approx(0.05), pytest.approx(0.15))
    assert signed(same).startswith("**+.1000")
    wide = difference([{"value": v, "low": v - 0.05, "high": v + 0.05} for v in (0.0, 0.1, 0.2)])
    assert wide["low"] < 0
    assert not signed(wide).startswith("**")
    assert signed(None) == "–"


def test_labels_of_one_data_set_are_not_taken_as_independent():
    one, other = {"value": 0.1, "low": 0.0, "high": 0.2}, {"value": 0.4, "low": 0.1, "high": 0.7}
    found = profiles.over_labels([[one, one], [other]])
    assert found["value"] == pytest.approx(0.2)
    assert found["high"] - found["value"] == pytest.approx(((0.2 / 3) ** 2 + (0.3 / 3) ** 2) ** 0.5)
    assert found["low"] == pytest.approx(0.4 - found["high"])
    same = profiles.over_labels([[one, one, one]])
    assert (same["low"], same["high"]) == (pytest.approx(0.0), pytest.approx(0.2)), "three alike say no more than one"


def test_seeds_vary_by_their_means_over_labels():
    def seeds(*values):
        return [{"value": value, "low": value, "high": value} for value in values]

    still = profiles.over_seeds_and_labels([[seeds(0.1, 0.3), seeds(0.3, 0.1)]])
    assert (still["mean"], still["low"], still["high"]) == pytest.approx((0.2, 0.2, 0.2)), (
        "what one label loses another gains"
    )
    moving = profiles.over_seeds_and_labels([[seeds(0.1, 0.3), seeds(0.1, 0.3, 9.0)]])
    assert moving["mean"] == pytest.approx(0.2), "of seeds that all labels have"
    assert moving["high"] > 0.3


def test_the_peers_split_is_theirs():
    """Worked with the script that the peers' figures come from."""
    import hashlib

    for user, split in (("1", 0), ("943", 4), ("77", 2)):
        u = int.from_bytes(hashlib.blake2b(f"{split}:{user}".encode(), digest_size=8).digest(), "little") / 2**64
        assert profiles.peers_parts(profiles.np.array([user]), split)[0] == (
            "train" if u < 0.8 else "valid" if u < 0.9 else "test"
        )


def test_a_tenth_of_the_labels_keeps_every_class():
    import numpy as np

    from lifelong.profiling.folds import Fold

    rare_P, train_n = np.zeros(200, np.int64), np.arange(160)
    rare_P[7] = 1
    fold = Fold(0, train_n, np.arange(160, 180), np.arange(180, 200))
    thin = transfer.thinned_fold(fold, rare_P, 10, seed=0)
    assert 16 <= len(thin.train_n) <= 18
    assert 1 in rare_P[thin.train_n]
    assert np.isin(thin.train_n, train_n).all()
    assert np.array_equal(thin.test_n, fold.test_n)
    whole = transfer.thinned_fold(fold, rare_P, 100, seed=0)
    assert np.array_equal(whole.train_n, train_n)


def test_verdicts_say_no_more_than_the_interval():
    better, equal = claims.CLAIMS["conure-retraining"], claims.CLAIMS["peterrec-not-below-finetune"]
    clear, open_, below = {"low": 0.1, "high": 0.2}, {"low": -0.1, "high": 0.2}, {"low": -0.2, "high": -0.1}
    assert [better.verdict(gap) for gap in (clear, open_, below, None)] == ["holds", "open", "does not hold", "not run"]
    assert [equal.verdict(gap) for gap in (clear, open_, below)] == ["holds", "open", "does not hold"]
    little = {"low": -0.01, "high": -0.005}
    assert [c.verdict(little) for c in (better, equal)] == ["does not hold", "holds"], "less than may be missing"


def test_both_arms_of_every_claim_are_of_one_kind():
    kinds = [claims.FIRST, claims.ARMS, claims.SERIES]
    for claim in claims.CLAIMS.values():
        assert sum(claim.a in kind and claim.b in kind for kind in kinds) == 1
    assert {arm for claim in claims.CLAIMS.values() for arm in (claim.a, claim.b)} == {arm for k in kinds for arm in k}


def test_tables_of_strategies_and_claims_are_made_of_records():
    from benchmarks.studies import strategies

    spread = {"mean": 0.5, "low": None, "high": None, "seeds": 1, "values": [0.5]}
    task = {
        "just_learnt": spread,
        "at_the_end": spread,
        "gain": None,
        "difference": None,
        "bytes": 2000.0,
        "epochs": 3.0,
    }
    gain = {"mean": -0.2, "low": -0.3, "high": -0.1}
    record = {
        "isolates": {"conure": True, "sequential": False},
        "metric": {"age": "auc"},
        "runs": [
            {
                "strategy": name,
                "changed_bits": bits,
                "bytes": [1, 5000],
                "seconds": [1, 2],
                "tasks": ["age"],
                "matrix": [[0.5]],
            }
            for name, bits in (("conure", 0), ("sequential", 7))
        ],
        "statistics": {
            "against": "conure",
            "tasks": {
                "conure": {"age": task},
                "sequential": {
                    "age": {**task, "gain": gain, "difference": gain, "at_the_end": {**spread, "mean": 0.4}}
                },
            },
        },
    }
    records = {f"world/seed{seed}": record for seed in range(2)}
    summary, _, tasks = strategies.tables(records)
    assert [row[1] for row in summary["rows"]] == ["0, exactly", "14"]
    assert summary["header"][2] == "age lost"
    assert [row[2] for row in summary["rows"]] == [".0000 ± .0000 (2)", ".1000 ± .0000 (2)"]
    assert tasks["rows"][1][4].endswith("**negative**")
    record["runs"][0]["changed_bits"] = 1
    assert "BROKEN" in strategies.tables(records)[0]["rows"][0][1]
    told = {"a": 0.7, "b": 0.5, "difference": {"value": 0.2, "low": 0.1, "high": 0.3}}
    entry = {"claims": {"clue-dropout-views": {"age, auc": told, "kids, auc": told, "age, macro_f1": told}}}
    made, untested = papers.tables({f"cj/age/seed{s}": entry for s in range(3)})
    assert [(row[2], row[3], row[-1]) for row in made["rows"]] == [
        ("2 labels, auc", ".7000 ± .0000 (3)", "holds"),
        ("age, macro_f1", ".7000 ± .0000 (3)", "holds"),
    ]
    assert len(untested["rows"]) == len(claims.UNTESTED)


def test_measures_are_means_over_the_tasks_of_one_metric():
    """Three tasks; conure keeps all, sequential loses .2 of what comes next and .1 of an error, which is to be low."""
    from benchmarks.studies.strategies import measured

    kept = [[0.6, None, None], [0.6, 5.0, None], [0.6, 5.0, 0.4]]
    lost = [[0.6, None, None], [0.5, 4.5, None], [0.4, 4.75, 0.5]]
    record = {
        "metric": {"next": "ndcg@10", "spend": "mae", "drugs": "ndcg@10"},
        "runs": [
            {"strategy": name, "tasks": ["next", "spend", "drugs"], "matrix": matrix}
            for name, matrix in (("conure", kept), ("sequential", lost), ("scratch", kept))
        ],
    }
    found = measured(record, "sequential")
    assert found["forgetting"] == {"ndcg@10": pytest.approx(0.2), "mae": pytest.approx(0.25)}
    assert found["forward_gain"] == {"mae": pytest.approx(0.5), "ndcg@10": pytest.approx(0.1)}
    assert measured(record, "conure")["forgetting"] == {"ndcg@10": 0.0, "mae": 0.0}
    assert "forward_gain" not in measured(record, "scratch")
    assert "intransigence" not in found
