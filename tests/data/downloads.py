"""Small folders in the formats of official downloads, made up here, with the traps that these are known for."""

import gzip
import json

SETS = ("ninerec", "pixelrec", "microlens", "mind", "hm", "amazon")


def write(path, text, newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("\n", newline).encode())


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8\xff a picture")


ITEMS = '1,"番茄, 炒蛋","Eggs, ""fried"""\n2,,Noodles\n3,米饭,\n'
PAIRS = [("7", "1", 30), ("7", "2", 10), ("8", "3", 5), ("7", "3", 20), ("8", "1", 5), ("8", "2", 5)]
"""User, item, seconds; three events of user 8 in one second."""


def ninerec(folder):
    """Bili_Food item first, Bili_500K user first and with CRLF, QB without times; covers of both sources in one folder."""
    write(folder / "Bili_Food_item.csv", ITEMS)
    write(folder / "Bili_Food_pair.csv", "".join(f"{item},{user},{time}\n" for user, item, time in PAIRS))
    picture(folder / "Bili_Food_cover" / "1.jpg")
    source = folder / "source"
    write(source / "Bili_500K_item.csv", ITEMS, "\r\n")
    write(source / "Bili_500K_pair.csv", "".join(f"{u},{i},{t * 1000}\n" for u, i, t in PAIRS), "\r\n")
    for name in ("2.jpg", "3.png", "4.txt"):
        picture(source / "Source_Bili_2M_cover" / name)
    write(folder / "QB_item.csv", "v1,腾讯,\nv2,新闻,News\n")
    write(folder / "QB_behaviour.tsv", "u14500\tv2 v1 v2\nu9\t\nu10\tv1\n", "\r\n")
    write(folder / "QB_pair.csv", "v2,u14500\nv1,u14500\nv1,u10\n")
    made = [{"variant": v, "min_user_events": 1} for v in ("Bili_Food", "Bili_500K", "QB")]
    return [{"path": str(folder), **options} for options in made]


def pixelrec(folder):
    """Two files of one name in two folders, the item first in one of them."""
    name = "Pixel200K.csv"
    text = "item_id,user_id,timestamp\n" + "".join(f"i{item},u{user},{time}\n" for user, item, time in PAIRS)
    write(folder / "pixelrec_interaction" / name, text)
    head = "item_id,view_number,comment_number,thumbup_number,share_number,coin_number,favorite_number,barrage_number,title,tag"
    rows = 'i1,5,0,1,0,0,0,0,"Cats, again",animals,"two\nlines"\ni3,9,0,1,0,0,0,0,,,\n'
    write(folder / "pixelrec_iteminfo" / name, f"{head},description\n{rows}")
    for item in ("i0", "i1", "i2"):
        picture(folder / "cover" / f"{item}.jpg")
    return [{"path": str(folder), "min_user_events": 1}]


TITLES = {
    "50k": 'item,title\n1,Plain\n2,"Commas, here"\n3,\n',
    "100k": '1,No header\n2,Commas, without quotes\n3,"He said ""hi"""\n',
    "1M": '1,An "open quote, here\n2,"Another\n3,Third line, "closed"\nand more of it\n',
}


def microlens(folder):
    """Three variants with three kinds of title files; 1M as histories alone."""
    for variant, name in (("50k", "titles"), ("100k", "title_en"), ("1M", "title")):
        stem = f"MicroLens-{variant}"
        write(folder / f"{stem}_{name}.csv", TITLES[variant], "\r\n" if variant == "100k" else "\n")
        if variant != "1M":
            rows = "".join(
                f"{user},{item},{time * 1000 + 1_583_000_000_000 + n}\n" for n, (user, item, time) in enumerate(PAIRS)
            )
            write(folder / f"{stem}_pairs.csv", f"user,item,timestamp\n{rows}")
    write(folder / "MicroLens-1M_pairs.tsv", "7\t2 3 1\n8\t3 1 2\n")
    write(folder / "MicroLens-50k_likes_and_views.txt", "1\t10\t100\n3\t30\t300\n4\t40\t400\n")
    write(folder / "tags_to_summary.csv", "videoID,category\n1,pets\n2,\n")
    picture(folder / "MicroLens-50k_covers" / "1.jpg")
    return [{"path": str(folder), "variant": v, "min_user_events": 1} for v in ("50k", "100k", "1M")]


NEWS = [
    ["N1", "sports", "soccer", 'The "open quote', "", "https://x", "[]", "[]"],
    ["N2", "news", "us", "Title", "An abstract", "https://x", '[{"Label": "A"}]', "[]"],
    ["N3", "news", "us", "", "Text", "https://x", "[]", "[]"],
]
BEHAVIORS = {
    "train": [
        "1\tU1\t11/11/2019 9:05:58 AM\tN3 N2 N3\tN1-1 N2-0",
        "2\tU2\t11/11/2019 12:00:00 AM\t\tN2-0 N3-1 N1-1",
        "3\tU1\t11/14/2019 12:30:00 PM\tN3 N2 N3\tN2-1 N4-0",
    ],
    "dev": ["1\tU1\t11/15/2019 8:55:22 AM\tN3 N2 N3 N1 N5\tN2-0 N4-1", "2\tU3\t11/15/2019 8:00:00 PM\tN1\tN3-1"],
    "test": ["1\tU1\t11/16/2019 8:55:22 AM\tN3 N2 N5 N4\tN1 N2", "2\tU9\t11/17/2019 1:00:00 AM\tN2\tN1"],
}


def mind(folder):
    """Small: two parts; large: all three, of which the test part has no labels. No file has a header or quotes."""
    for variant, parts in (("small", ("train", "dev")), ("large", ("train", "dev", "test"))):
        for part in parts:
            place = folder / f"MIND{variant}_{part}"
            write(place / "behaviors.tsv", "\n".join(BEHAVIORS[part]) + "\n", "\r\n" if part == "dev" else "\n")
            more = [["N4", "tv", "x", "Four", "", "", "", ""]] * (part != "train")
            write(place / "news.tsv", "".join("\t".join(row) + "\n" for row in [*NEWS, *more]))
    small = {"path": str(folder), "min_user_events": 1}
    return [small, {**small, "variant": "large", "parts": ["train", "dev", "test"]}]


ARTICLES = [
    ("0108775015", "Strap top", "Vest top", 'Jersey top with "narrow" straps, cut', "Ladieswear"),
    ("0111565001", "20 den 1p", "Underwear Tights", "", "Lingeries/Tights"),
    ("0900000001", "Shirt", "Shirt", "Cotton", "Menswear"),
]
CUSTOMERS = ["00" * 32, "0a" * 32, "ff" * 32]


def hm(folder):
    """Ids with a leading zero, a day's lines by article, pictures in a folder of three digits."""
    head = "article_id,prod_name,product_type_name,detail_desc,index_group_name\n"
    rows = "".join(f'{a},{n},{t},"{d.replace(chr(34), chr(34) * 2)}",{i}\n' for a, n, t, d, i in ARTICLES)
    write(folder / "articles.csv", head + rows)
    lines = [
        ("2018-09-20", 0, 0),
        ("2018-09-20", 0, 1),
        ("2018-09-20", 0, 1),
        ("2018-09-21", 1, 2),
        ("2018-09-22", 0, 2),
        ("2018-09-20", 1, 0),
        ("2018-09-20", 1, 1),
    ]
    text = "".join(f"{day},{CUSTOMERS[c]},{ARTICLES[a][0]},0.0508,{a % 2 + 1}\n" for day, c, a in lines)
    write(folder / "transactions_train.csv", f"t_dat,customer_id,article_id,price,sales_channel_id\n{text}")
    people = [
        f"{CUSTOMERS[0]},,,ACTIVE,None,49.0,p",
        f"{CUSTOMERS[1]},1.0,1.0,,Regularly,19,p",
        f"{CUSTOMERS[2]},,,,,,p",
    ]
    head = "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code\n"
    write(folder / "customers.csv", head + "\n".join(people) + "\n")
    for article in ARTICLES[:2]:
        picture(folder / "images" / article[0][:3] / f"{article[0]}.jpg")
    return [{"path": str(folder), "min_user_events": 1}]


REVIEWS = [(u, i, 1_400_000_000 + 86_400 * (u + i)) for u in range(4) for i in range(4) if (u, i) != (3, 3)]
"""User, product, seconds: without (3, 3) user 3 and product 3 have three reviews each, all others four."""


def amazon(folder):
    """A category of 2018, one of 2014 (metadata as Python writes it), ratings of either order, and RecBole's files."""
    reviews = [{"overall": 5.0, "reviewerID": f"A{u}", "asin": f"B{i}", "unixReviewTime": t} for u, i, t in REVIEWS]
    extra = {"overall": 1.0, "reviewerID": "A1", "asin": "B9", "unixReviewTime": 1, "reviewText": "no metadata"}
    lines = "".join(json.dumps(review) + "\n" for review in [*reviews, reviews[0], extra])
    folder.mkdir(parents=True)
    (folder / "Arts.json.gz").write_bytes(gzip.compress(lines.encode()))
    meta = [
        {"asin": "B0", "title": 'Paint &amp; "Brush"...', "category": ["Arts", "Painting"], "brand": "Ann"},
        {"asin": "B1", "title": "x" * 2000, "category": [], "brand": ""},
        {"asin": "B2", "title": "Clay", "brand": "Bob."},
        {"asin": "B3", "title": "Glue"},
        {"asin": "B0", "title": "again"},
    ]
    (folder / "meta_Arts.json.gz").write_bytes(gzip.compress("".join(json.dumps(m) + "\n" for m in meta).encode()))
    write(folder / "reviews_Beauty_5.json", "".join(json.dumps(review) + "\n" for review in reviews))
    old = [
        {"asin": f"B{i}", "title": f"It's {i}", "categories": [["Beauty", "Hair"]], "salesRank": {"Beauty": i}}
        for i in range(4)
    ]
    write(folder / "meta_Beauty.json", "".join(f"{row!r}\n" for row in old))
    ratings = {"Office": "{i},{u},5.0,{t}\n", "Garden": "{u},{i},5.0,{t}\n"}
    for name, line in ratings.items():
        text = "".join(line.format(u=f"A{u}", i=f"B{i}", t=t) for u, i, t in REVIEWS)
        write(folder / "Ratings" / f"{name}.csv", text)
        write(folder / "Metadata" / f"meta_{name}.json", "".join(json.dumps(m) + "\n" for m in meta))
    text = "".join(f"A{u}\tB{i}\t5.0\t{t}.0\n" for u, i, t in REVIEWS)
    write(folder / "Toys.inter", f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n{text}")
    rows = "".join(f'B{i}\tA "toy {i}\tToys, Games\tLego\n' for i in range(4))
    write(folder / "Toys.item", f"item_id:token\ttitle:token_seq\tcategories:token_seq\tbrand:token\n{rows}")
    made = [{"path": str(folder), "variant": name, "core": 3} for name in ("Garden", "Toys")]
    return [*made, {**made[0], "variant": "Arts", "also": ["Beauty", "Office"]}]
