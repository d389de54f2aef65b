"""Drives headless Chromium over the DevTools protocol (its pipe: file descriptors 3 and 4, messages ended by NUL) and looks at
the page of `tollgate report` as a reader does: filters, opens a message, follows a cause, at two widths, in the dark, on
paper and without JavaScript. Any console error and any request beside the page itself is a failure. Standard library only.

usage: report_page.py CHROMIUM PAGE.html                    the tests above, on a run with fields and causes
       report_page.py CHROMIUM --hostile PAGE.html          nothing of the database became markup or script
       report_page.py CHROMIUM --pair PAGE.html             two runs that differ stand side by side
       report_page.py CHROMIUM --time PAGE.html             how long it takes until the page is there
       report_page.py CHROMIUM --shot OUT.png WIDTH PAGE.html [SCROLL-TO-ID]
"""
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

TIMEOUT_S = 60
LOAD_LIMIT_S = 15  # far above what is asked for: the machine may be busy


class Browser:
    def __init__(self, program):
        to_read, self.write_fd = os.pipe()
        self.read_fd, to_write = os.pipe()
        self.profile = tempfile.mkdtemp(prefix="tollgate-page-")
        saved = [os.dup(fd) if fd in (3, 4) else fd for fd in (to_read, to_write)]

        def place():
            low = [os.dup(fd) for fd in saved]
            while min(low) < 5:
                low = [os.dup(fd) for fd in low]
            os.dup2(low[0], 3)
            os.dup2(low[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage",
             "--disable-background-networking", "--hide-scrollbars", "--user-data-dir=" + self.profile, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.next_id = 0
        self.events = []
        self.session = None

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                raise SystemExit("report_page: the browser does not answer")
            data = os.read(self.read_fd, 1 << 20)
            if not data:
                raise SystemExit("report_page: the browser has ended")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_fd, data):]
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.next_id:
                if "error" in answer:
                    raise SystemExit("report_page: %s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def wait(self, method):
        deadline = time.monotonic() + TIMEOUT_S
        while not any(e["method"] == method for e in self.events):
            message = self.receive(deadline)
            if "method" in message:
                self.events.append(message)

    def open_page(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def size(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def go(self, path):
        """Loads a page; returns the seconds until it is loaded and painted."""
        self.events = [e for e in self.events if e["method"] != "Page.loadEventFired"]
        start = time.monotonic()
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        self.wait("Page.loadEventFired")
        self.call("Page.captureScreenshot", format="jpeg", quality=1)
        return time.monotonic() - start

    def js(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit("report_page: %s: %s" % (expression, result["exceptionDetails"]["exception"].get("description")))
        return result["result"].get("value")

    def click(self, selector):
        x, y = self.js("(()=>{const e=document.querySelector(%s);e.scrollIntoView({block:'center',behavior:'instant'});"
                       "const r=e.getBoundingClientRect();return [r.left+Math.min(r.width/2,60),r.top+Math.min(r.height/2,10)]})()" % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def key(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))
        self.settle()

    def settle(self):
        self.js("new Promise(r=>requestAnimationFrame(()=>setTimeout(r,30)))")

    def complaints(self):
        """What the page said on the console, threw or asked the network for."""
        found = []
        for e in self.events:
            p = e["params"]
            if e["method"] == "Runtime.exceptionThrown":
                found.append("exception: " + p["exceptionDetails"].get("text", "") + str(p["exceptionDetails"].get("exception", {}).get("description")))
            elif e["method"] == "Runtime.consoleAPICalled":
                found.append("console: %s %s" % (p["type"], p["args"]))
            elif e["method"] == "Log.entryAdded":
                found.append("log: %s" % p["entry"]["text"])
            elif e["method"] == "Page.javascriptDialogOpening":
                found.append("dialog: %s" % p["message"])
            elif e["method"] == "Network.requestWillBeSent" and p["type"] != "Document":
                found.append("request: %s" % p["request"]["url"][:200])
        return found


failures = 0


def check(holds, what):
    global failures
    if not holds:
        failures += 1
        print("FAILED  " + what)


VISIBLE = "[...document.querySelectorAll('.lad .m:not(.hide)')]"


def test_layout(b):
    for width in (1280, 420):
        b.size(width)
        b.settle()
        check(b.js("document.documentElement.scrollWidth") <= width, "at %d px nothing reaches over the edge" % width)
        wide = b.js("getComputedStyle(document.querySelector('.names')).display !== 'none'")
        check(wide == (width == 1280), "the lanes are shown at 1280 px and not at 420 px")
        words = b.js("document.querySelector('.m .w').getBoundingClientRect().width")
        check((words > 20) == (width == 420), "the words instead of the lanes are shown at 420 px")
    b.size(1280)
    check(b.js("(()=>{const n=document.querySelectorAll('.names .g span');const a=document.querySelector('.m .a').getBoundingClientRect();"
               "const c=[...n].map(e=>{const r=e.getBoundingClientRect();return (r.left+r.right)/2});"
               "return c.some(x=>Math.abs(x-a.left)<3)&&c.some(x=>Math.abs(x-a.right)<3)})()"),
          "an arrow reaches from the middle of a name to the middle of another")


def test_filter(b):
    total = b.js(VISIBLE + ".length")
    check(total > 10, "there are messages")
    b.click("form.bar input[type=search]")
    b.call("Input.insertText", text="invite")
    b.settle()
    shown = b.js(VISIBLE + ".length")
    check(0 < shown < total, "the filter by text leaves some")
    check(b.js(VISIBLE + ".every(e=>/invite/i.test(e.firstElementChild.textContent))"), "the filter by text leaves those that have it")
    check(b.js("document.querySelector('form.bar output').value") == "%d of %d messages" % (shown, total), "the filter counts")
    b.key("Escape", 27)
    check(b.js(VISIBLE + ".length") == total, "Escape ends the filter")
    b.js("(()=>{const s=document.querySelector('form.bar [name=cover]');s.value='krb5';s.dispatchEvent(new Event('input',{bubbles:true}))})()")
    b.settle()
    check(b.js(VISIBLE + ".every(e=>e.textContent.includes('[krb5]'))") and 0 < b.js(VISIBLE + ".length") < total, "the filter by cover")
    b.js("document.querySelector('form.bar').reset()")
    b.js("(()=>{const s=document.querySelector('form.bar [name=node]');s.value=s.options[1].value;s.dispatchEvent(new Event('input',{bubbles:true}))})()")
    b.settle()
    check(b.js(VISIBLE + ".every(e=>e.querySelector('.w').textContent.includes(document.querySelector('form.bar [name=node]').value))")
          and 0 < b.js(VISIBLE + ".length") < total, "the filter by element")
    b.js("document.querySelector('form.bar').reset()")
    b.settle()


def test_message(b):
    path = b.js("(()=>{const e=[...document.querySelectorAll('.m')].find(e=>e.querySelector('.d table')&&"
                "[...e.querySelectorAll('.d dt')].some(t=>t.textContent==='Because of'&&t.nextSibling.querySelector('a')));"
                "return '#'+e.id})()")
    check(b.js("!document.querySelector('%s').open" % path), "a message is closed at first")
    b.click(path + " summary")
    check(b.js("document.querySelector('%s').open && document.querySelector('%s .d').getBoundingClientRect().height > 60" % (path, path)),
          "a click opens a message")
    text = b.js("document.querySelector('%s .d').innerText" % path)
    for word in ("Sent", "Fate", "SHA-256", "Field", "Because of"):
        check(word in text, "an open message tells: " + word)
    cause = b.js("[...document.querySelectorAll('%s .d dt')].find(t=>t.textContent==='Because of').nextSibling.querySelector('a').getAttribute('href')" % path)
    b.js("(()=>{const s=document.querySelector('form.bar [name=text]');s.value='zzz';s.dispatchEvent(new Event('input',{bubbles:true}));"
         "document.querySelector('form.bar').reset()})()")
    b.settle()
    b.click(path + " .d dl a[href='%s']" % cause)
    b.settle()
    check(b.js("location.hash") == cause, "a cause is a link")
    check(b.js("document.querySelector('%s').open" % cause), "the message it leads to opens")
    check(b.js("document.activeElement.parentElement.id") == cause[1:], "and has the focus")
    box = b.js("(()=>{const r=document.querySelector('%s summary').getBoundingClientRect();return [r.top,r.bottom]})()" % cause)
    check(0 <= box[0] and box[1] <= 900, "and is in sight")
    b.key("Enter", 13)
    check(b.js("!document.querySelector('%s').open" % cause), "Enter closes it")
    key = b.js("(()=>{const a=document.querySelector('.m .d a[href^=\"#k\"]');return a&&a.getAttribute('href')})()")
    check(key and b.js("!!document.querySelector('%s')" % key), "a key of a message is on the page")


def test_styles(b):
    contrast = ("(()=>{const l=c=>{const v=c.match(/[\\d.]+/g).slice(0,3).map(x=>{x/=255;return x<=.03928?x/12.92:((x+.055)/1.055)**2.4});"
                "return .2126*v[0]+.7152*v[1]+.0722*v[2]};const bg=l(getComputedStyle(document.body).backgroundColor);"
                "return ['body','.dim','a','.t'].map(s=>{const c=l(getComputedStyle(document.querySelector(s)).color);"
                "return (Math.max(c,bg)+.05)/(Math.min(c,bg)+.05)})})()")
    colors = []
    for scheme in ("light", "dark"):
        b.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colors.append(b.js("getComputedStyle(document.body).backgroundColor"))
        check(min(b.js(contrast)) >= 4.5, "text stands out in the %s (WCAG AA): %s" % (scheme, b.js(contrast)))
    check(colors[0] != colors[1], "there is a dark style")
    b.call("Emulation.setEmulatedMedia", media="print", features=[])
    check(b.js("getComputedStyle(document.querySelector('nav')).display") == "none", "there is a style for paper")
    check(b.js("[...document.querySelectorAll('details.fold:not([open]) th')].every(e=>e.checkVisibility({contentVisibilityAuto:true}))"),
          "on paper what is folded is open")
    b.call("Emulation.setEmulatedMedia", media="", features=[])
    check(b.js("[...document.querySelectorAll('th')].every(e=>e.scope) && [...document.querySelectorAll('section')].every(e=>"
               "document.getElementById(e.getAttribute('aria-labelledby'))) && document.querySelectorAll('h1').length===1"), "tables and sections are labelled")
    check(b.js("(()=>{const i=[...document.querySelectorAll('[id]')].map(e=>e.id);return new Set(i).size===i.length})()"), "every id is there once")
    check(b.js("[...document.querySelectorAll('a[href^=\"#\"]')].every(a=>document.getElementById(a.getAttribute('href').slice(1)))"),
          "every link leads somewhere")


def test_without_script(b, path):
    b.call("Emulation.setScriptExecutionDisabled", value=True)
    b.go(path)
    check(b.js("getComputedStyle(document.querySelector('form.bar')).display") == "none", "without JavaScript there is no filter")
    check(b.js("document.querySelectorAll('.m').length") > 10, "without JavaScript the messages are there")
    b.call("Emulation.setScriptExecutionDisabled", value=False)


def test_policy(b, path):
    """Last, for it makes the console complain: what somebody smuggled in would not run."""
    b.go(path)
    b.js("(()=>{const s=document.createElement('script');s.textContent='window.smuggled=1';document.body.append(s);"
         "const i=document.createElement('img');i.src='https://tollgate.example/x';document.body.append(i)})()")
    b.settle()
    check(b.js("window.smuggled") is None, "the policy stops a foreign script")
    check(any("Content Security Policy" in c for c in b.complaints()), "the policy stops a foreign image")


def test_page(b, path):
    b.size(1280)
    b.go(path)
    test_layout(b)
    test_filter(b)
    test_message(b)
    test_styles(b)
    test_without_script(b, path)
    for complaint in b.complaints():
        check(False, "the page is silent: " + complaint)
    test_policy(b, path)


def test_hostile(b, path):
    b.size(1280)
    b.go(path)
    check(b.js("document.scripts.length") == 1 and b.js("document.styleSheets.length") == 1, "one script, one style")
    check(b.js("document.querySelectorAll('img,iframe,object,embed,link,base,video,audio').length") == 0, "no element that loads")
    check(b.js("[...document.querySelectorAll('*')].every(e=>[...e.attributes].every(a=>!/^on|^style$/.test(a.name)))"),
          "no attribute that acts")
    check(b.js("[...document.querySelectorAll('a')].every(a=>/^#[a-z0-9-]+$/.test(a.getAttribute('href')))"), "links stay on the page")
    check("<script>" in b.js("document.body.textContent"), "hostile text is there, as text")
    check(not b.js("/[\\u202a-\\u202e\\u2066-\\u2069\\u0000-\\u0008\\u000b-\\u001f]/.test(document.body.textContent)"), "no control characters")
    check(b.js("document.documentElement.scrollWidth") <= 1280, "long names do not break the layout")
    for complaint in b.complaints():
        check(False, "the page is silent: " + complaint)


def test_pair(b, path):
    b.size(1280)
    b.go(path)
    for width in (1280, 420):
        b.size(width)
        b.settle()
        check(b.js("document.documentElement.scrollWidth") <= width, "two runs: at %d px nothing reaches over the edge" % width)
        beside = b.js("document.getElementById('a-claims').getBoundingClientRect().right <= document.getElementById('b-claims').getBoundingClientRect().left")
        check(beside == (width == 1280), "two runs are side by side at 1280 px, one below the other at 420 px")
    b.size(1280)
    check(b.js("[...document.querySelectorAll('#diff ins,#diff del')].length") > 0, "what came and what went is marked")
    visible = "[...document.querySelectorAll('#%s-ladder .m:not(.hide)')].length"
    before = [b.js(visible % side) for side in "ab"]
    b.click("#b-ladder form.bar input[type=search]")
    b.call("Input.insertText", text="AS-REQ")
    b.settle()
    after = [b.js(visible % side) for side in "ab"]
    check(after[0] == before[0] and 0 < after[1] < before[1], "a filter is for its own run")
    check(b.js("(()=>{const i=[...document.querySelectorAll('[id]')].map(e=>e.id);return new Set(i).size===i.length})()"), "every id is there once")
    check(b.js("[...document.querySelectorAll('a[href^=\"#\"]')].every(a=>document.getElementById(a.getAttribute('href').slice(1)))"),
          "every link leads somewhere")
    for complaint in b.complaints():
        check(False, "the page is silent: " + complaint)


def shot(b, args):
    b.size(int(args[1]))
    b.go(args[2])
    if len(args) > 3 and args[3].startswith("open:"):
        b.js("document.getElementById(%s).open=true" % json.dumps(args[3][5:]))
    if len(args) > 3 and args[3] == "dark":
        b.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    top, height = 0, b.js("document.documentElement.scrollHeight")
    if len(args) > 3 and args[3] != "dark":
        top = b.js("document.getElementById(%s).getBoundingClientRect().top+scrollY" % json.dumps(args[3].replace("open:", "")))
    clip = {"x": 0, "y": top, "width": int(args[1]), "height": min(height - top, 1900), "scale": 1}
    data = b.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
    pathlib.Path(args[0]).write_bytes(base64.b64decode(data))


def main():
    browser = Browser(sys.argv[1])
    try:
        browser.open_page()
        if sys.argv[2] == "--hostile":
            test_hostile(browser, sys.argv[3])
        elif sys.argv[2] == "--pair":
            test_pair(browser, sys.argv[3])
        elif sys.argv[2] == "--time":
            browser.size(1280)
            seconds = browser.go(sys.argv[3])
            size = os.path.getsize(sys.argv[3])
            print("report_page: %d bytes, loaded and painted after %.2f s" % (size, seconds))
            check(seconds < LOAD_LIMIT_S, "the page opens")
            for complaint in browser.complaints():
                check(False, "the page is silent: " + complaint)
        elif sys.argv[2] == "--shot":
            shot(browser, sys.argv[3:])
        else:
            test_page(browser, sys.argv[2])
    finally:
        browser.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
