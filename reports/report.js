// The script of the page of `tollgate report`: filters the ladder, opens what a link leads to. The page is whole without it.
(function () {
	"use strict";

	// The ladder around an element: its form and its rows; null outside of one.
	function ladderOf(el) {
		var section = el.closest(".ladder");

		return section && { bar: section.querySelector(".bar"), rows: section.querySelector(".lad") };
	}

	// A link leads into folded parts: open them, let the filter go if it hides the place, and move the focus there.
	function reveal() {
		var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
		var here = document.querySelector(".here");
		var ladder, el;

		if (here)
			here.classList.remove("here");
		if (!target)
			return;
		ladder = ladderOf(target);
		if (ladder && target.classList.contains("hide")) {
			ladder.bar.reset();
			apply(ladder);
		}
		for (el = target; el; el = el.parentElement) {
			if (el.tagName === "DETAILS") {
				el.open = true;
				el.dataset.by = "reader";
			}
		}
		if (target.classList.contains("m")) {
			target.classList.add("here");
			target.querySelector("summary").focus({ preventScroll: true });
			target.scrollIntoView({ block: "center" });
		} else {
			target.scrollIntoView({ block: "start" });
		}
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

	function apply(ladder) {
		var fields = ladder.bar.elements;
		var f = { node: fields.node, cover: fields.cover, bad: fields.bad, text: fields.text.value.trim().toLowerCase() };
		var on = Boolean(f.node.value || f.cover.value || f.bad.checked || f.text);
		var total = 0, shown = 0;

		ladder.rows.querySelectorAll(".slice").forEach(function (slice, index) {
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
		fields.count.value = on ? shown + " of " + total + " messages" : total + " messages";
	}

	document.querySelectorAll(".bar").forEach(function (bar) {
		var ladder = ladderOf(bar);

		bar.hidden = false;
		bar.addEventListener("input", function () {
			apply(ladder);
		});
		bar.addEventListener("reset", function () {
			setTimeout(apply, 0, ladder);
		});
		bar.addEventListener("submit", function (event) {
			event.preventDefault();
		});
		bar.addEventListener("keydown", function (event) {
			if (event.key === "Escape")
				bar.reset();
		});
		ladder.rows.addEventListener("click", function (event) {
			var slice = event.target.closest(".slice > summary");

			if (slice)
				slice.parentElement.dataset.by = "reader";
		});
		apply(ladder);
	});
	window.addEventListener("hashchange", reveal);
	document.addEventListener("click", function (event) {
		var link = event.target.closest("a[href^='#']");

		if (link && link.getAttribute("href") === location.hash)
			reveal();
	});
	reveal();
})();
