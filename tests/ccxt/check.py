"""Checks `aegis venue` with the client library ccxt, REST and sockets, unmodified except for the base addresses.

    python3 check.py PATH_OF_AEGIS

Starts the exchange on free ports with a market that only moves when told to, asserts on exact figures, and ends with
a status that says whether everything held. Every wait is for an event and bounded; nothing sleeps to hide a race.
"""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from decimal import Decimal

import ccxt
import ccxt.pro

KEY, SECRET = "AEGISdemoKey0001", "cxakp_demo_SECRET_do_not_use"
WAIT = 20
PAIR, MARKET = "BTC/USDT", "BTC_USDT"
checks = 0


def equal(found, wanted, what):
    global checks
    checks += 1
    assert found == wanted, f"{what}: {found!r}, wanted {wanted!r}"


def holds(truth, what):
    global checks
    checks += 1
    assert truth, what


def raises(kind, code, call, what):
    global checks
    checks += 1
    try:
        call()
    except kind as e:
        assert type(e) is kind, f"{what}: {type(e).__name__}, wanted {kind.__name__}"
        assert f'"code":{code}' in str(e), f"{what}: {e}, wanted code {code}"
    else:
        raise AssertionError(f"{what}: nothing was raised")


class Venue:
    """The exchange as a process."""

    def __init__(self, binary):
        self.dir = tempfile.TemporaryDirectory(prefix="aegis-ccxt-")
        arguments = [
            binary, "--json", "--data", f"{self.dir.name}/data", "venue", "--listen", "127.0.0.1:0",
            "--control", "127.0.0.1:0", "--account", f"{KEY}:{SECRET}", "--fund", "BTC=1,USDT=10000",
            "--market", "none", "--protocol-scale", "0.01",
            # Scaled alone, this machine's slowest moments would count as missed heartbeats.
            "--set", "heartbeat_answer=500s", "--set", "nonce_window=6000s",
        ]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.at = json.loads(self.process.stdout.readline())

    def tell(self, path, **what):
        body = json.dumps(what).encode()
        request = urllib.request.Request(self.at["control"] + path, data=body, method="POST")
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return json.load(answer)

    def ledger(self):
        with urllib.request.urlopen(self.at["control"] + "/ledger", timeout=WAIT) as answer:
            return json.load(answer)

    def price(self, bid, ask, size="10"):
        self.tell("/price", instrument=MARKET, bid=bid, ask=ask, bid_quantity=size, ask_quantity=size, last=bid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(WAIT), 0, "the exit status after SIGTERM")
        self.dir.cleanup()


def client(of, venue, key=KEY, secret=SECRET):
    exchange = of({"apiKey": key, "secret": secret, "enableRateLimit": False})
    root = venue.at["rest"]
    exchange.urls["api"] = {
        "base": root, "v1": root, "v2": root, "derivatives": root,
        "ws": {"public": venue.at["market"], "private": venue.at["user"]},
    }
    return exchange


def amounts(order, *names):
    return tuple(Decimal(str(order[name])) if order[name] is not None else None for name in names)


def market_data(venue, exchange):
    markets = exchange.load_markets()
    equal(sorted(markets), ["BTC/USDT", "ETH/USDT", "SOL/USDT"], "markets")
    btc = markets[PAIR]
    equal((btc["spot"], btc["precision"]["price"], btc["precision"]["amount"]), (True, 0.01, 0.00001), "ticks")
    ticker = exchange.fetch_ticker(PAIR)
    equal((ticker["bid"], ticker["ask"], ticker["last"]), (60000.0, 60000.01, 60000.0), "ticker")
    holds(len(exchange.fetch_tickers()) == 3, "all tickers")
    book = exchange.fetch_order_book(PAIR, 5)
    equal((book["bids"][0][:2], len(book["bids"]), len(book["asks"])), ([60000.0, 10.0], 5, 5), "book")
    holds(book["asks"][0][0] == 60000.01 and book["bids"] == sorted(book["bids"], reverse=True), "book's order")
    candles = exchange.fetch_ohlcv(PAIR, "1m", limit=5)
    holds(candles and candles[-1][1:5] == [60000.0] * 4, f"candles: {candles}")
    raises(ccxt.ExchangeError, 209, lambda: exchange.request(
        "public/get-book", ["v1", "public"], "GET", {"instrument_name": "NOPE_USDT"}), "an unknown symbol")


def balances(exchange, **wanted):
    balance = exchange.fetch_balance()
    for asset, (total, used) in wanted.items():
        found = amounts(balance[asset], "total", "used", "free")
        total, used = Decimal(total), Decimal(used)
        equal(found, (total, used, total - used), f"balance of {asset}")


def orders(venue, exchange):
    balances(exchange, BTC=("1", "0"), USDT=("10000", "0"))
    # A limit order rests, reserves, is found by both ids, and is cancelled.
    placed = exchange.create_order(PAIR, "limit", "buy", 0.01, 59000, {"client_oid": "ccxt-limit-1"})
    equal(placed["clientOrderId"], "ccxt-limit-1", "the client order id of the answer")
    balances(exchange, BTC=("1", "0"), USDT=("10000", "590"))
    open_orders = exchange.fetch_open_orders(PAIR)
    equal([o["id"] for o in open_orders], [placed["id"]], "open orders")
    equal((open_orders[0]["status"], amounts(open_orders[0], "price", "amount", "filled", "remaining")),
          ("open", (Decimal(59000), Decimal("0.01"), Decimal(0), Decimal("0.01"))), "the open order")
    detail = exchange.v1PrivatePostPrivateGetOrderDetail({"client_oid": "ccxt-limit-1"})["result"]
    equal((detail["order_id"], detail["status"]), (placed["id"], "ACTIVE"), "detail by client order id")
    again = lambda: exchange.create_order(PAIR, "limit", "buy", 0.02, 58000, {"client_oid": "ccxt-limit-1"})
    raises(ccxt.ExchangeError, 204, again, "a duplicate while it is open")
    canceled = exchange.cancel_order(placed["id"], PAIR)
    equal(canceled["id"], placed["id"], "the cancelled order")
    equal(exchange.fetch_order(placed["id"], PAIR)["status"], "canceled", "its status")
    balances(exchange, BTC=("1", "0"), USDT=("10000", "0"))
    raises(ccxt.ExchangeError, 204, again, "a duplicate after its end")
    raises(ccxt.ExchangeError, 212, lambda: exchange.cancel_order(placed["id"], PAIR), "a second cancel")

    # A market buy pays its fee in base: 0.005 of 0.01.
    bought = exchange.create_order(PAIR, "market", "buy", 0.01, None, {"client_oid": "ccxt-market-1"})
    order = exchange.fetch_order(bought["id"], PAIR)
    equal((order["status"], amounts(order, "filled", "average", "cost"), order["fee"]["currency"]),
          ("closed", (Decimal("0.01"), Decimal("60000.01"), Decimal("600.0001")), "BTC"), "the market buy")
    equal(Decimal(str(order["fee"]["cost"])), Decimal("0.00005"), "its fee")
    balances(exchange, BTC=("1.00995", "0"), USDT=("9399.9999", "0"))
    # A market sell pays in quote.
    sold = exchange.create_order(PAIR, "market", "sell", 0.01, None, {"client_oid": "ccxt-market-2"})
    order = exchange.fetch_order(sold["id"], PAIR)
    equal((order["status"], order["fee"]["currency"], Decimal(str(order["fee"]["cost"]))),
          ("closed", "USDT", Decimal("3")), "the market sell")
    balances(exchange, BTC=("0.99995", "0"), USDT=("9996.9999", "0"))

    # A larger order than what is shown is filled in parts, the second as maker.
    venue.price("60000", "60000.01", "0.004")
    partly = exchange.create_order(PAIR, "limit", "buy", 0.01, 60000.01, {"client_oid": "ccxt-partial-1"})
    order = exchange.fetch_order(partly["id"], PAIR)
    equal((order["status"], amounts(order, "filled", "remaining")), ("open", (Decimal("0.004"), Decimal("0.006"))), "a part")
    balances(exchange, USDT=("9756.99986", "360.00006"))
    venue.price("60000", "60000.01", "10")
    order = exchange.fetch_order(partly["id"], PAIR)
    equal((order["status"], amounts(order, "filled")), ("closed", (Decimal("0.01"),)), "the whole")
    trades = exchange.fetch_order_trades(partly["id"], PAIR) if exchange.has["fetchOrderTrades"] else [
        t for t in exchange.fetch_my_trades(PAIR) if t["order"] == partly["id"]]
    equal(sorted((t["takerOrMaker"], Decimal(str(t["amount"])), Decimal(str(t["fee"]["cost"])), t["fee"]["currency"])
                 for t in trades),
          [("maker", Decimal("0.006"), Decimal("0.000015"), "BTC"), ("taker", Decimal("0.004"), Decimal("0.00002"), "BTC")],
          "its trades")

    # Immediate or cancel, fill or kill, post only.
    ioc = exchange.create_order(PAIR, "limit", "buy", 0.01, 59999, {"timeInForce": "IOC"})
    equal(exchange.fetch_order(ioc["id"], PAIR)["status"], "canceled", "an IOC that fills nothing")
    refusals = [
        ("fill or kill", 43003, lambda: exchange.create_order(PAIR, "limit", "buy", 0.01, 59999, {"timeInForce": "FOK"})),
        ("post only that would take", 43005, lambda: exchange.create_order(PAIR, "limit", "buy", 0.01, 60001, {"postOnly": True})),
        ("insufficient balance", 306, lambda: exchange.create_order(PAIR, "limit", "buy", 1, 59000)),
        ("below the least worth", 415, lambda: exchange.create_order(PAIR, "limit", "buy", 0.00001, 59000)),
        ("far from the market", 315, lambda: exchange.create_order(PAIR, "limit", "buy", 0.01, 1000)),
        ("unknown symbol", 209, lambda: exchange.request("private/create-order", ["v1", "private"], "POST", {
            "instrument_name": "NOPE_USDT", "side": "BUY", "type": "LIMIT", "price": "1", "quantity": "1"})),
        ("a numeric quantity", 40101, lambda: exchange.request("private/create-order", ["v1", "private"], "POST", {
            "instrument_name": MARKET, "side": "BUY", "type": "MARKET", "quantity": 1})),
        ("a price off its tick", 308, lambda: exchange.request("private/create-order", ["v1", "private"], "POST", {
            "instrument_name": MARKET, "side": "BUY", "type": "LIMIT", "price": "59000.001", "quantity": "0.01"})),
        ("a quantity off its tick", 213, lambda: exchange.request("private/create-order", ["v1", "private"], "POST", {
            "instrument_name": MARKET, "side": "BUY", "type": "LIMIT", "price": "59000", "quantity": "0.0000001"})),
    ]
    for what, code, call in refusals:
        try:
            call()
        except ccxt.BaseError as e:
            holds(f'"code":{code},' in str(e), f"{what}: {e}")
        else:
            raise AssertionError(f"{what}: nothing was raised")

    # Cancel all, lists, history, my trades.
    for n in range(3):
        exchange.create_order(PAIR, "limit", "buy", 0.001, 50000 + n, {"client_oid": f"ccxt-many-{n}"})
    equal(len(exchange.fetch_open_orders(PAIR)), 3, "three open orders")
    exchange.cancel_all_orders(PAIR)
    equal(exchange.fetch_open_orders(PAIR), [], "none is left")
    made = exchange.create_orders([
        {"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.001, "price": 50000},
        {"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.001, "price": 50001},
    ])
    equal(len(made), 2, "a list of orders")
    exchange.cancel_orders([o["id"] for o in made], PAIR)
    equal(exchange.fetch_open_orders(PAIR), [], "none of the list is left")
    history = exchange.fetch_orders(PAIR)
    statuses = sorted({o["status"] for o in history})
    holds({"canceled", "closed", "rejected"} <= set(statuses), f"history: {statuses}")
    mine = exchange.fetch_my_trades(PAIR)
    equal(len(mine), 4, "my trades")
    holds(all(t["fee"]["cost"] > 0 for t in mine), "fees are charged")
    fees = exchange.fetch_trading_fee(PAIR)
    equal((fees["maker"], fees["taker"]), (0.0025, 0.005), "fee rates")


def advanced(venue, exchange):
    call = lambda method, params: exchange.request(f"private/advanced/{method}", ["v1", "private"], "POST", params)["result"]
    # The library still sends trigger types to the plain call, which takes them no more.
    try:
        exchange.create_order(PAIR, "market", "sell", 0.01, 59000, {"triggerPrice": 59500})
    except ccxt.BaseError as e:
        holds('"code":140001,' in str(e), f"a trigger by the plain call: {e}")
    else:
        raise AssertionError("a trigger by the plain call: nothing was raised")
    stop = {"instrument_name": MARKET, "side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "ref_price": "59000",
            "client_oid": "ccxt-stop-1"}
    placed = call("create-order", stop)
    equal(placed["client_oid"], "ccxt-stop-1", "a stop")
    equal(exchange.fetch_open_orders(PAIR), [], "the plain namespace does not show it")
    row = call("get-open-orders", {})["data"][0]
    equal((row["order_id"], row["status"], row["ref_price_type"]), (placed["order_id"], "PENDING", "MARK_PRICE"), "it waits")
    # The mark price fires it, not the last trade.
    venue.tell("/mark", instrument=MARKET, price="59000")
    row = call("get-order-detail", {"client_oid": "ccxt-stop-1"})
    equal((row["status"], row["cumulative_quantity"], row["trigger_price"]), ("FILLED", "0.01", "59000"), "it fired")
    order = exchange.fetch_order(row["exchange_order_id"], PAIR)
    equal((order["status"], order["side"], amounts(order, "filled", "average")),
          ("closed", "sell", (Decimal("0.01"), Decimal("60000"))), "the order that it became")
    venue.tell("/mark", instrument=MARKET, price=None)
    # A pair of which one cancels the other.
    made = call("create-oco", {"order_list": [
        {"instrument_name": MARKET, "side": "SELL", "type": "LIMIT", "quantity": "0.01", "price": "70000", "client_oid": "ccxt-oco-1"},
        {"instrument_name": MARKET, "side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "ref_price": "50000", "client_oid": "ccxt-oco-2"},
    ]})
    legs = call("get-order-list-detail", {"list_id_list": [made["list_id"]]})["data"]
    equal(sorted((leg["order_type"], leg["status"]) for leg in legs), [("LIMIT", "ACTIVE"), ("STOP_LOSS", "PENDING")], "legs")
    venue.price("70000", "70000.01")
    legs = call("get-order-list-detail", {"list_id_list": [made["list_id"]]})["data"]
    equal(sorted((leg["order_type"], leg["status"]) for leg in legs), [("LIMIT", "FILLED"), ("STOP_LOSS", "CANCELED")], "one cancelled the other")
    venue.price("60000", "60000.01")
    try:
        call("create-order", {**stop, "client_oid": "ccxt-stop-2", "ref_price": "61000"})
    except ccxt.BaseError as e:
        holds('"code":50007,' in str(e), f"a stop beyond the market: {e}")
    else:
        raise AssertionError("a stop beyond the market: nothing was raised")
    # A stop for more than there is is refused when it fires.
    call("create-order", {**stop, "client_oid": "ccxt-stop-3", "quantity": "5", "ref_price": "58000"})
    venue.tell("/mark", instrument=MARKET, price="57000")
    row = call("get-order-detail", {"client_oid": "ccxt-stop-3"})
    equal((row["status"], str(row["reason"]), row["reject_reason"]), ("REJECTED", "306", "INSUFFICIENT_AVAILABLE_BALANCE"), "too large a stop")
    venue.tell("/mark", instrument=MARKET, price=None)


def wrong_keys(venue):
    raises(ccxt.AuthenticationError, 40101, client(ccxt.cryptocom, venue, secret="not-the-secret").fetch_balance, "a bad signature")
    raises(ccxt.AuthenticationError, 40101, client(ccxt.cryptocom, venue, key="unknown").fetch_balance, "an unknown key")


async def within(what, awaitable):
    try:
        return await asyncio.wait_for(awaitable, WAIT)
    except asyncio.TimeoutError:
        raise AssertionError(f"{what}: nothing came within {WAIT} s") from None


async def follow(watch, kept):
    while True:
        came = await watch()
        if isinstance(came, list):
            kept.extend(came)


async def until(what, truth):
    """Waits for an event by what it leaves behind, and counts it as a check."""
    async def poll():
        while not truth():
            await asyncio.sleep(0.01)
    await within(what, poll())
    holds(truth(), what)


async def sockets(venue):
    exchange = client(ccxt.pro.cryptocom, venue)
    followers = []
    try:
        await exchange.load_markets()
        # Market channels.
        ticker = await within("ticker", exchange.watch_ticker(PAIR))
        equal((ticker["bid"], ticker["ask"]), (60000.0, 60000.01), "the first ticker")
        venue.price("60010", "60010.01")
        while ticker["bid"] != 60010.0:
            ticker = await within("a new ticker", exchange.watch_ticker(PAIR))
        book = await within("book", exchange.watch_order_book(PAIR))
        equal(book["bids"][0][:2], [60010.0, 10.0], "the first book")
        venue.price("60011", "60011.01", "3")
        while book["bids"][0][:2] != [60011.0, 3.0]:
            book = await within("a book's change", exchange.watch_order_book(PAIR))
        candles = await within("candles", exchange.watch_ohlcv(PAIR, "1m"))
        equal(candles[-1][4], 60011.0, "the last candle's close")
        # User channels: followed in the background, judged by what the library then holds.
        balance = await within("balance", exchange.watch_balance())
        before = Decimal(str(balance["BTC"]["total"]))
        mine = []
        for watch, kept in ((exchange.watch_orders, []), (exchange.watch_my_trades, mine), (exchange.watch_balance, [])):
            followers.append(asyncio.ensure_future(follow(watch, kept)))
        resting = await within("an order over the socket", exchange.create_order_ws(
            PAIR, "limit", "buy", 0.002, 59000, {"client_oid": "ccxt-ws-1"}))

        def status(client_oid):
            known = exchange.orders or []
            return [o["status"] for o in known if o["clientOrderId"] == client_oid]

        await until("the open order", lambda: status("ccxt-ws-1") == ["open"])
        await until("the subscription of trades", lambda: "user.trade" in exchange.client(venue.at["user"]).subscriptions)
        taken = await within("a market order", exchange.create_order(
            PAIR, "market", "buy", 0.003, None, {"client_oid": "ccxt-ws-2"}))
        await until("the market order's end", lambda: status("ccxt-ws-2") == ["closed"])
        await until("its trade", lambda: any(t["order"] == taken["id"] for t in mine))
        trade = [t for t in mine if t["order"] == taken["id"]][0]
        equal((Decimal(str(trade["amount"])), Decimal(str(trade["price"])), Decimal(str(trade["fee"]["cost"])), trade["fee"]["currency"]),
              (Decimal("0.003"), Decimal("60011.01"), Decimal("0.000015"), "BTC"), "the trade")
        await until("the balance after it", lambda: Decimal(str(exchange.balance["BTC"]["total"])) == before + Decimal("0.002985"))
        # This version of the library sends one command over a socket and keeps the next ones: the cancel goes by REST.
        await within("a cancel", exchange.cancel_order(resting["id"], PAIR))
        await until("the cancelled order", lambda: status("ccxt-ws-1") == ["canceled"])
        public = await within("public trades", exchange.watch_trades(PAIR))
        holds(any(t["amount"] == 0.003 for t in public), f"our trade is public: {public[-3:]}")
    finally:
        for follower in followers:
            follower.cancel()
        await exchange.close()
    wrong = client(ccxt.pro.cryptocom, venue, secret="not-the-secret")
    try:
        await within("a bad login", wrong.watch_balance())
    except ccxt.AuthenticationError:
        holds(True, "a bad login")
    else:
        raise AssertionError("a bad login: nothing was raised")
    finally:
        await wrong.close()


def main():
    venue = Venue(sys.argv[1])
    try:
        exchange = client(ccxt.cryptocom, venue)
        venue.price("60000", "60000.01")
        market_data(venue, exchange)
        orders(venue, exchange)
        advanced(venue, exchange)
        wrong_keys(venue)
        asyncio.run(sockets(venue))
        ledger = venue.ledger()
        equal(ledger["audit"], None, "the exchange's books")
        holds(all(count == 1 for count in ledger["accepted"].values()), "one order for a client order id")
        balances(exchange, **{a: (b["total"], b["reserved"]) for a, b in ledger["balances"].items() if b["total"] != "0"})
    except BaseException:
        venue.process.kill()
        raise
    venue.stop()
    print(f"ccxt {ccxt.__version__}: {checks} checks hold")


main()
