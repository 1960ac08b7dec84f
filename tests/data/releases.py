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


TTL = {
    "original_desen_pretrain.csv": "0,0,0,7,8,9\n0,7,7,8,10,11\n12,13,14,15,16,17\n0,0,0,0,0,7",
    "original_desen_finetune_click_nouserID.csv": "0,0,0,7,8,9,,3,7\n0,7,7,8,10,11,,3\n0,0,0,7,8,9,,5\n0,0,0,0,0,7,,3,3,0",
    "original_desen_age.csv": "0,0,0,7,8,9,,2\n0,7,7,8,10,11,,0\n12,13,14,15,16,17,,2\n0,0,0,0,0,7,,1\n0,0,0,0,0,7,,2",
}
"""No header, no users, no newline at the end; a history in two lines, a user with two labels."""


def ttl(folder):
    """The options of the data sets that these files make."""
    folder.mkdir(parents=True)
    for name, text in TTL.items():
        (folder / name).write_text(text)
    return [{"path": str(folder), "task": task} for task in ("pretrain", "click", "age")]


VIDEO = "user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age\n"
TENREC = {
    "QK-video.csv": VIDEO
    + "1,10,1,0,0,0,3,1,1,2\n"
    + "1,11,0,0,0,0,\\N,0,1,2\n"  # shown, not clicked
    + "1,12,1.0,0,1,0,\\N,2,1.0,2\n"  # a liked one; 1.0 beside 1
    + "2,10,0,0,0,0,3,0,2,0\n"  # the same pair twice, once without the click
    + "2,10,1,0,0,0,3,1,2,0\n"
    + "2,13.0,1,0,0,1,5.0,1,2,\\N\n"
    + "1,10,1,0,0,0,4,1,1,3\n"  # again, and another age
    + "3,11,1,0,0,0,\\N,1,0,5\n",
    "QK-article.csv": "user_id,item_id,click,gender,age,exposure_count,click_count,like_count,comment_count,"
    "read_percentage,item_score1,item_score2,category_second,category_first,item_score3,read,read_time,share,like,follow,"
    "favorite\n"
    + "".join(
        f"{user},{item},{click},1,2,9,1,0,0,0.5,\\N,0.1,{item},7,0.2,1,3.5,0,0,0,0\n"
        for user, item, click in [
            (2, 10, 1),
            (9, 11, 1),
            (1, 12, 1),
            (2, 11, 1),
            (2, 13, 0),
            (2, 14, "1.0"),
            (3, 10, 0),
        ]
    ),
    "ctr_data_1M.csv": VIDEO.strip()
    + "".join(f",hist_{n}" for n in range(1, 11))
    + "\n"
    + "1,15,1,0,0,0,3,1,1,2,10.0,11.0"
    + ",0.0" * 8
    + "\n2,16,0,0,0,0,3,1,2,3"
    + ",\\N" * 10
    + "\n1,16,1,0,0,0,3,1,1,2,10.0,11.0"
    + ",0.0" * 8,
}
"""Headers, no times, ids and signals with a point, \\N, a pair twice, no newline at the end; clicks in columns."""


def tenrec(folder):
    """The options of the data sets that these files make."""
    folder.mkdir(parents=True)
    for name, text in TENREC.items():
        (folder / name).write_text(text)
    video = {"path": str(folder), "history": "QK-video.csv"}
    return [
        video,
        {**video, "signals": ["click", "like", "share"], "duplicates": "keep"},
        {**video, "targets": "QK-article.csv", "last_targets": 2, "first_users": 2},
        {"path": str(folder), "history": "ctr_data_1M.csv"},
    ]
