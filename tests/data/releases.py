"""Small MovieLens folders in the formats of the four releases, made up here, and other sources for the tests."""

RATINGS = [("1", "10", "5", 100), ("1", "20", "3", 100), ("1", "30", "4", 90), ("2", "10", "1", 50)]
"""User, film, stars, seconds."""


def ml_100k(folder):
    folder.mkdir(parents=True)
    lines = [f"{user}\t{film}\t{stars}\t{time}\n" for user, film, stars, time in RATINGS]
    (folder / "u.data").write_text("".join(lines))
    flags = ["0"] * 19
    flags[1] = flags[5] = "1"
    films = [
        ["10", "Toy Story (1995)", "01-Jan-1995", "", "http://x", *flags],
        ["20", "Misérables, Les (1995)", "", "", "", *flags[::-1]],
        ["30", "unknown", "", "", "", "1", *["0"] * 18],
    ]
    (folder / "u.item").write_bytes("".join("|".join(f) + "\n" for f in films).encode("latin-1"))
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n3|17|F|writer|0\n")
    return folder


def ml_1m(folder):
    folder.mkdir(parents=True)
    lines = [f"{user}::{film}::{stars}::{time}\n" for user, film, stars, time in RATINGS]
    (folder / "ratings.dat").write_text("".join(lines))
    films = (
        "10::Toy Story (1995)::Animation|Children's\n20::Misérables, Les (1995)::Drama\n30::Wait: What (2000)::War\n"
    )
    (folder / "movies.dat").write_bytes(films.encode("latin-1"))
    (folder / "users.dat").write_text("1::M::18::17::48067\n2::F::56::0::70072\n3::F::1::10::00000\n")
    return folder


def ml_csv(folder, half=True):
    folder.mkdir(parents=True)
    stars = {"1": "0.5", "3": "3.5", "4": "4.0", "5": "5.0"} if half else {}
    lines = [f"{user},{film},{stars.get(given, given)},{time}\n" for user, film, given, time in RATINGS]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(lines))
    films = (
        '10,Toy Story (1995),Adventure|Animation\n20,"Misérables, Les (1995)",Drama\n30,No Year,(no genres listed)\n'
    )
    (folder / "movies.csv").write_text("movieId,title,genres\n" + films, encoding="utf-8")
    return folder


def ml_latest_small(folder):
    ml_csv(folder)
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n")
    return folder


def ml_25m(folder):
    ml_csv(folder)
    (folder / "genome-tags.csv").write_text("tagId,tag\n")
    (folder / "ratings.csv").write_bytes((folder / "ratings.csv").read_bytes().replace(b"\n", b"\r\n"))
    return folder


RELEASES = {"100k": ml_100k, "1m": ml_1m, "latest-small": ml_latest_small, "25m": ml_25m}
