// Shows a message while the app does not answer, such as during its restart; the page itself stays as it is.
(function () {
  const send = window.fetch;

  function show(silent) {
    const message = document.getElementById("no-answer");
    if (message) message.hidden = !silent;
  }

  window.fetch = function (...request) {
    const answer = send.apply(window, request);
    answer.then(
      () => show(false),
      (error) => error.name !== "AbortError" && show(true),
    );
    return answer;
  };
})();
