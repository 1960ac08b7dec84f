"""The same formats with some hundred users, made up at random: enough for every recipe to have its cases."""

import json

import numpy as np
from downloads import picture, write

USERS, ITEMS = 100, 60


def log(seed=0, users=USERS, items=ITEMS):
    """User, item, seconds: eight to fourteen events each."""
    random = np.random.default_rng(seed)
    for user in range(users):
        for item in random.integers(1, items, random.integers(8, 15)).tolist():
            yield user, item, int(1_500_000_000 + random.integers(0, 10**7))


def ninerec(folder):
    texts = "".join(f'{item},题目 {item},"Title, {item}"\n' for item in range(ITEMS))
    for seed, name in enumerate(("Bili_500K", "Bili_Food")):
        write(folder / f"{name}_item.csv", texts)
        write(folder / f"{name}_pair.csv", "".join(f"{item},u{user},{time}\n" for user, item, time in log(seed)))
    write(folder / "TN_item.csv", texts)
    histories = {}
    for user, item, _ in log(2):
        histories.setdefault(user, []).append(str(item))
    write(folder / "TN_behaviour.tsv", "".join(f"u{user}\t{' '.join(items)}\n" for user, items in histories.items()))


def pixelrec(folder):
    for seed, name in enumerate(("Pixel200K.csv", "PixelRec50K.csv")):
        rows = "".join(f"i{item},u{user},{time}\n" for user, item, time in log(seed))
        write(folder / "interaction" / name, f"item_id,user_id,timestamp\n{rows}")
        rows = "".join(f"i{item},Title {item},tag,\n" for item in range(ITEMS))
        write(folder / "info" / name, f"item_id,title,tag,description\n{rows}")
    picture(folder / "cover" / "i1.jpg")


def microlens(folder):
    for seed, (size, titles) in enumerate((("100k", "title_en"), ("50k", "titles"))):
        rows = "".join(f"{user},{item},{time}123\n" for user, item, time in log(seed))
        write(folder / f"MicroLens-{size}_pairs.csv", f"user,item,timestamp\n{rows}")
        write(folder / f"MicroLens-{size}_{titles}.csv", "".join(f"{item},Title {item}\n" for item in range(ITEMS)))


def mind(folder):
    for part, day in (("train", 11), ("dev", 15)):
        news = ([f"N{n}", ("sports", "news")[n % 2], "x", f"Title {n}", "", "", "", ""] for n in range(ITEMS))
        write(folder / f"MINDsmall_{part}" / "news.tsv", "".join("\t".join(row) + "\n" for row in news))
        rows = [
            f"{n}\tU{user}\t11/{day}/2019 {1 + time % 12}:{time % 60:02}:00 {'AP'[time % 2]}M\tN1 N2 N3\tN{item}-1 N7-0"
            for n, (user, item, time) in enumerate(log(day))
        ]
        write(folder / f"MINDsmall_{part}" / "behaviors.tsv", "\n".join(rows) + "\n")


def hm(folder):
    articles = "".join(f"{item:010},Name {item},Type,Text\n" for item in range(ITEMS))
    write(folder / "articles.csv", f"article_id,prod_name,product_type_name,detail_desc\n{articles}")
    rows = "".join(
        f"{np.datetime64(time, 's').astype('datetime64[D]')},{user:064},{item:010},0.1,2\n"
        for user, item, time in log()
    )
    write(folder / "transactions_train.csv", f"t_dat,customer_id,article_id,price,sales_channel_id\n{rows}")
    people = "".join(f"{u:064},{('ACTIVE', 'LEFT CLUB')[u % 2]},NONE,{(25, 35)[u % 3 > 1]}.0\n" for u in range(USERS))
    write(folder / "customers.csv", f"customer_id,club_member_status,fashion_news_frequency,age\n{people}")


def amazon(folder):
    five = ("Grocery_and_Gourmet_Food", "Home_and_Kitchen", "CDs_and_Vinyl", "Kindle_Store", "Movies_and_TV")
    for seed, name in enumerate((*five, "Industrial_and_Scientific")):
        rows = (
            json.dumps({"reviewerID": f"A{user}", "asin": f"B{seed}{item}", "unixReviewTime": time}) + "\n"
            for user, item, time in log(seed)
        )
        write(folder / f"{name}_5.json", "".join(rows))
        meta = (json.dumps({"asin": f"B{seed}{item}", "title": f"Title {item}"}) + "\n" for item in range(ITEMS))
        write(folder / f"meta_{name}.json", "".join(meta))
