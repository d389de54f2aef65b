// The script of the page of `tollgate report`: filters the ladder, opens what a link leads to. The page is whole without it.
(function () {
	"use strict";
	var bar = document.getElementById("filter");
	var ladder = document.getElementById("rows");

	// A link leads into folded parts: open them, let the filter go if it hides the place, and move the focus there.
	function reveal() {
		var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
		var here = document.querySelector(".here");
		var el;

		if (here)
			here.classList.remove("here");
		if (!target)
			return;
		if (bar && target.classList.contains("hide"))
			bar.reset();
		if (bar)
			apply();
		for (el = target; el; el = el.parentElement) {
			if (el.tagName === "DETAILS") {
				el.open = true;
				el.dataset.by = "reader";
			}
		}
		if (target.classList.contains("m")) {
			target.classList.add("here");
			target.querySelector("summary").focus({ preventScroll: true });
		}
		target.scrollIntoView({ block: "center" });
	}

	function wanted(row, f) {
		var d = row.dataset;

		if (f.node.value && d.n.indexOf(" " + f.node.value + " ") < 0)
			return false;
		if (f.cover.value && d.c !== f.cover.value)
			return false;
		if (f.bad.checked && d.f === "accepted")
			return false;
		return !f.text || row.firstElementChild.textContent.toLowerCase().indexOf(f.text) >= 0;
	}

	function apply() {
		var f = { node: bar.elements.node, cover: bar.elements.cover, bad: bar.elements.bad,
			text: bar.elements.text.value.trim().toLowerCase() };
		var on = Boolean(f.node.value || f.cover.value || f.bad.checked || f.text);
		var total = 0, shown = 0;

		ladder.querySelectorAll(".slice").forEach(function (slice, index) {
			var here = 0;

			slice.querySelectorAll(".m").forEach(function (row) {
				var want = !on || wanted(row, f);

				row.classList.toggle("hide", !want);
				total++;
				here += want;
			});
			slice.querySelectorAll(".row:not(.names)").forEach(function (row) {
				row.classList.toggle("hide", on);
			});
			slice.classList.toggle("hide", on && here === 0);
			if (on && here)
				slice.open = true;
			else if (!on && slice.dataset.by !== "reader")
				slice.open = index === 0;
			shown += here;
		});
		bar.elements.count.value = on ? shown + " of " + total + " messages" : total + " messages";
	}

	if (bar && ladder) {
		bar.hidden = false;
		bar.addEventListener("input", apply);
		bar.addEventListener("reset", function () {
			setTimeout(apply, 0);
		});
		bar.addEventListener("submit", function (event) {
			event.preventDefault();
		});
		bar.addEventListener("keydown", function (event) {
			if (event.key === "Escape")
				bar.reset();
		});
		ladder.addEventListener("click", function (event) {
			var slice = event.target.closest(".slice > summary");

			if (slice)
				slice.parentElement.dataset.by = "reader";
		});
		apply();
	}
	window.addEventListener("hashchange", reveal);
	document.addEventListener("click", function (event) {
		var link = event.target.closest("a[href^='#']");

		if (link && link.getAttribute("href") === location.hash)
			reveal();
	});
	reveal();
})();
