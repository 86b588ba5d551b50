// Entry of every console page: the frame's behaviour, the live parts that nearly every page has, and the loader of the others.
import "./styles/main.css";
import { startActions } from "./core/actions";
import { startIslands } from "./core/islands";
import { loadCatalogue } from "./core/i18n";
import { startAges } from "./core/time";
import { startFrame } from "./shell/frame";
import { startKeys } from "./shell/keys";
import { startConnectionNotice } from "./shell/connection";
import { startTokens } from "./shell/token";
import { definePage } from "./page/page";
import { defineTable } from "./table/table";

await loadCatalogue();
startFrame();
startKeys();
startActions();
startAges();
startConnectionNotice();
startTokens();
defineTable();
definePage();
startIslands();
