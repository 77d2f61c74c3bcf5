for (const button of document.querySelectorAll("button.copy")) {
  const source = button.closest(".prompt").querySelector("pre");
  button.hidden = false;
  button.addEventListener("click", async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Selected: copy it by hand";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
